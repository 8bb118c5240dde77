import { Button, CloseButton, Menu, TextInput } from "@mantine/core";
import { IconChevronDown, IconSearch, IconX } from "@tabler/icons-react";
import { useEffect, useRef, useState, type ReactNode } from "react";

import { useKeys } from "~/keys/keys";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import css from "./filterbar.module.css";
import { visible } from "./visible";

/** Something a list can be narrowed by. Its id is the name in the address and, mostly, in the API. */
export type Facet = {
  id: string;
  label: string;
  /** What can be chosen, several at a time; without it the facet shows as a chip once a value sets it. */
  options?: { value: string; label: string; mark?: ReactNode }[];
};

/** Free text, facets and what is set: all of it in the page's address. */
export function FilterBar({ facets, search = "search", placeholder, lead, children }: { facets: Facet[]; search?: string | false; placeholder?: string; lead?: ReactNode; children?: ReactNode }) {
  const t = useText("parts");
  const url = useUrl();
  const any = facets.some((f) => url.all(f.id).length > 0) || (search !== false && url.get(search) !== undefined);
  return (
    <div className={css.bar} role="search">
      {search !== false ? <SearchBox name={search} placeholder={placeholder ?? t("find")} /> : null}
      {lead}
      {facets.map((f) =>
        f.options ? (
          <Choice key={f.id} facet={f} />
        ) : (
          url.all(f.id).map((value) => (
            <span key={f.id + value} className={css.chip}>
              {f.label}: <b>{visible(value)}</b>
              <button type="button" aria-label={t("removeFilter", { name: f.label })} onClick={() => url.set({ [f.id]: url.all(f.id).filter((v) => v !== value) })}>
                <IconX size={12} aria-hidden />
              </button>
            </span>
          ))
        ),
      )}
      {any ? (
        <Button size="compact-xs" variant="subtle" color="gray" onClick={() => url.set(Object.fromEntries([...facets.map((f) => [f.id, undefined]), ...(search === false ? [] : [[search, undefined]])]))}>
          {t("clearFilters")}
        </Button>
      ) : null}
      <div className={css.rest}>{children}</div>
    </div>
  );
}

/** Writes into the address when the typing rests. */
function SearchBox({ name, placeholder }: { name: string; placeholder: string }) {
  const t = useText("parts");
  const url = useUrl();
  const now = url.get(name) ?? "";
  const [text, setText] = useState(now);
  const box = useRef<HTMLInputElement>(null);
  const sent = useRef(now);
  useEffect(() => {
    if (now !== sent.current) setText((sent.current = now));
  }, [now]);
  useEffect(() => {
    if (text === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = text;
      url.set({ [name]: text === "" ? undefined : text }, { replace: true });
    }, 250);
    return () => clearTimeout(timer);
  }, [text, name, url]);
  useKeys([{ keys: "/", label: t("keyFind"), group: t("keysList"), run: () => box.current?.select() }]);
  return (
    <TextInput
      ref={box}
      size="xs"
      className={css.search}
      type="search"
      aria-label={placeholder}
      placeholder={placeholder}
      value={text}
      onChange={(e) => setText(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key === "Escape") {
          e.currentTarget.blur();
          e.preventDefault();
        }
      }}
      leftSection={<IconSearch size={14} aria-hidden />}
      rightSection={text === "" ? <kbd>/</kbd> : <CloseButton size="xs" aria-label={t("clearText")} onClick={() => setText("")} />}
    />
  );
}

function Choice({ facet }: { facet: Facet }) {
  const url = useUrl();
  const chosen = url.all(facet.id);
  const options = facet.options!;
  const named = options.filter((o) => chosen.includes(o.value)).map((o) => o.label);
  const toggle = (value: string) => url.set({ [facet.id]: chosen.includes(value) ? chosen.filter((v) => v !== value) : [...chosen, value] });
  return (
    <Menu closeOnItemClick={false} position="bottom-start">
      <Menu.Target>
        <button type="button" className={css.facet} data-set={chosen.length > 0 || undefined}>
          {facet.label}
          {named.length > 0 ? <b>{named.length > 2 ? named.length : named.join(", ")}</b> : null}
          <IconChevronDown size={12} aria-hidden />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {options.map((o) => (
          <Menu.CheckboxItem key={o.value} checked={chosen.includes(o.value)} onChange={() => toggle(o.value)}>
            <span className={css.option}>
              {o.mark}
              {o.label}
            </span>
          </Menu.CheckboxItem>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
