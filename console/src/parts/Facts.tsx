import type { ReactNode } from "react";

import css from "./facts.module.css";

/** Names and values below each other; what has no value is left out. */
export function Facts({ of }: { of: (readonly [string, ReactNode])[] }) {
  return (
    <dl className={css.facts}>
      {of.map(([name, value]) =>
        value === undefined || value === null || value === "" || value === false ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

/** A small table inside a panel, where rows are few. */
export function Rows({ label, head, rows }: { label: string; head: string[]; rows: { key: string; cells: ReactNode[] }[] }) {
  return (
    <div className={css.wide}>
      <table className={css.rows} aria-label={label}>
        <thead>
          <tr>
            {head.map((h) => (
              <th key={h} scope="col">
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.key}>
              {r.cells.map((c, i) => (
                <td key={i}>{c}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Raw text as it was written, whole. */
export function Block({ text, label }: { text: string; label?: string }) {
  return (
    <pre className={css.block} aria-label={label} tabIndex={0}>
      {text}
    </pre>
  );
}
