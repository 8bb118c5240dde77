import { TextInput, UnstyledButton } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { useState } from "react";

import { Loading } from "~/parts/States";
import { Value } from "~/parts/Value";
import { useLanguage, useText } from "~/text/text";

import type { Field } from "./data";
import css from "./search.module.css";

/** Which fields the events have, and their most frequent values: each a handle. */
export function Fields({ fields, total, pending }: { fields: Field[]; total: number; pending: boolean }) {
  const t = useText("search");
  const language = useLanguage();
  const [find, setFind] = useState("");
  const [open, setOpen] = useState<string>();
  const shown = fields.filter((f) => f.name.toLowerCase().includes(find.toLowerCase()));
  return (
    <section className={css.fields} aria-label={t("fields")}>
      <TextInput size="xs" placeholder={t("findField")} aria-label={t("findField")} value={find} onChange={(e) => setFind(e.currentTarget.value)} className={css.findField} />
      {pending ? <Loading rows={8} /> : null}
      <ul className={css.fieldList}>
        {shown.map((f) => (
          <li key={f.name}>
            <UnstyledButton className={css.fieldName} aria-expanded={open === f.name} onClick={() => setOpen(open === f.name ? undefined : f.name)}>
              <IconChevronRight size={12} aria-hidden data-open={open === f.name || undefined} />
              <span>{f.name}</span>
              <span className={css.share}>{total > 0 ? `${Math.min(100, Math.round((f.count / total) * 100))}%` : ""}</span>
            </UnstyledButton>
            {open === f.name ? (
              <ul className={css.top}>
                {(f.topValues ?? []).map((v) => (
                  <li key={v.value}>
                    <Value field={f.name} value={v.value} className={css.topValue} />
                    <span className="dim">{v.count.toLocaleString(language)}</span>
                    <i style={{ width: `${(v.count / Math.max(1, f.count)) * 100}%` }} aria-hidden />
                  </li>
                ))}
              </ul>
            ) : null}
          </li>
        ))}
      </ul>
    </section>
  );
}
