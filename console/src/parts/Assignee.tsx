import { Autocomplete, type AutocompleteProps } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { answer, client } from "~/api/client";
import { useText } from "~/text/text";

import { visible } from "./visible";

/** Whom work can be given to. */
export function useTeam() {
  return useQuery({ queryKey: ["team"], staleTime: 60_000, queryFn: ({ signal }) => answer(client.GET("/api/v1/team", { signal })) });
}

/** Chooses somebody of the team; another name may be written, such as a shift's. */
export function Assignee({ value, onChange, ...more }: { value: string; onChange: (who: string) => void } & Omit<AutocompleteProps, "value" | "onChange" | "data">) {
  const words = useText("words");
  const team = useTeam();
  const people = (team.data?.members ?? []).filter((m) => m.role === "Admin" || m.role === "Analyst");
  return (
    <Autocomplete
      label={words("assignee")}
      placeholder={words("unassigned")}
      value={value}
      onChange={onChange}
      data={people.map((m) => m.email)}
      renderOption={({ option }) => {
        const m = people.find((x) => x.email === option.value);
        return (
          <span>
            {visible(m?.name ?? option.value)} <span className="dim">{m?.name ? m.email : ""}</span>
          </span>
        );
      }}
      filter={({ options, search }) => {
        const asked = search.trim().toLowerCase();
        return options.filter((o) => "value" in o && (o.value.toLowerCase().includes(asked) || (people.find((m) => m.email === o.value)?.name ?? "").toLowerCase().includes(asked)));
      }}
      {...more}
    />
  );
}
