import { Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { Dialog } from "~/parts/Dialog";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

/** Makes another machine part of this one: its keys then lead here. */
export function Merge({ of: a, onClose }: { of: Schema<"AssetDetail">; onClose: () => void }) {
  const t = useText("assets");
  const act = useAct();
  const [typed, setTyped] = useState("");
  const [search] = useDebouncedValue(typed, 250);
  const [other, setOther] = useState<string | null>(null);
  const [reason, setReason] = useState("");
  const found = useQuery({
    queryKey: ["assets", "choose", other === null ? search : ""],
    queryFn: ({ signal }) => answer(client.GET("/api/v1/assets", { params: { query: { size: 20, ...(search !== "" && other === null ? { search } : {}) } as never }, signal })),
    placeholderData: (before) => before,
    enabled: other === null,
  });
  const data = (found.data?.content ?? []).filter((x) => x.id !== a.id).map((x) => ({ value: x.id, label: visible([x.name, x.addresses[0]].filter(Boolean).join(" · ")) }));
  return (
    <Dialog
      title={t("merge")}
      action={t("merge")}
      ready={other !== null && reason.trim() !== ""}
      onClose={onClose}
      onSubmit={async () =>
        (await act({
          call: { method: "POST", url: `/api/v1/assets/${a.id}/merge`, body: { assets: [other], reason: reason.trim() } },
          undo: { method: "POST", url: `/api/v1/assets/${other}/unmerge`, body: { reason: t("undoReason") } },
          done: t("merged"),
          renews: [["assets"]],
        })) !== undefined
      }
    >
      <Select label={t("other")} description={t("mergeWhy")} required searchable filter={({ options }) => options} searchValue={typed} onSearchChange={setTyped} value={other} onChange={setOther} data={data} clearable data-autofocus />
      <TextInput label={t("reason")} required value={reason} onChange={(e) => setReason(e.currentTarget.value)} />
    </Dialog>
  );
}

/** Takes a machine out of the one that it was made part of. */
export function Unmerge({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useText("assets");
  const act = useAct();
  const [reason, setReason] = useState("");
  return (
    <Dialog
      title={t("unmerge")}
      action={t("unmerge")}
      ready={reason.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => (await act({ call: { method: "POST", url: `/api/v1/assets/${id}/unmerge`, body: { reason: reason.trim() } }, done: t("unmerged"), renews: [["assets"]] })) !== undefined}
    >
      <TextInput label={t("reason")} description={t("unmergeWhy")} required value={reason} onChange={(e) => setReason(e.currentTarget.value)} data-autofocus />
    </Dialog>
  );
}
