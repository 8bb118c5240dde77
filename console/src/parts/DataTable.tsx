import { Checkbox } from "@mantine/core";
import { useElementSize, useMergedRef } from "@mantine/hooks";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useRef, type ReactNode } from "react";

import { useKeys } from "~/keys/keys";
import { useText } from "~/text/text";

import css from "./datatable.module.css";
import { fitting } from "./fitting";
import { printed, usePrinting } from "./printing";

export type Column<Row> = {
  id: string;
  header: string;
  /** CSS grid width, such as "120px" or "minmax(200px, 1fr)". */
  width: string;
  cell: (row: Row) => ReactNode;
  align?: "right";
  /** Its name in the API's sort parameter, where it can be sorted by. */
  sort?: string;
  /** Table width in px under which the column goes. */
  from?: number;
};

export type Sort = { by: string; up: boolean };

type Props<Row> = {
  label: string;
  rows: Row[];
  columns: Column<Row>[];
  rowKey: (row: Row) => string;
  /** The row that keys act on. */
  active?: string | undefined;
  onActive?: ((key: string) => void) | undefined;
  onOpen?: ((row: Row) => void) | undefined;
  /** Selected rows; without onSelect there are no boxes. */
  selected?: ReadonlySet<string>;
  onSelect?: (next: Set<string>) => void;
  sort?: Sort | undefined;
  onSort?: ((next: Sort) => void) | undefined;
  /** Called when the end comes into sight and there may be more. */
  more?: (() => void) | undefined;
  /** How many there are in all, for readers who cannot see the table. */
  total?: number | undefined;
  /** How a row looks where the table is narrower than a phone held upright. */
  card?: ((row: Row) => ReactNode) | undefined;
  cardHeight?: number;
  rowHeight?: number;
  /** Keys j, k, x, Enter belong to it; off where another table on the page has them. */
  keys?: boolean;
  footer?: ReactNode;
};

/** A table that holds 100,000 rows: only those in sight are drawn. Keys j and k move,
 *  x selects, Enter opens. */
export function DataTable<Row>(props: Props<Row>) {
  const { rows, rowKey, active, onActive, onOpen, selected, onSelect, more, keys = true } = props;
  const t = useText("parts");
  const scroller = useRef<HTMLDivElement>(null);
  const { ref: sizeRef, width } = useElementSize();
  const narrow = props.card !== undefined && width > 0 && width < 560;
  const height = narrow ? (props.cardHeight ?? 72) : (props.rowHeight ?? 36);
  // A row's own padding and the boxes leave less than the whole width.
  const { columns, tracks } = fitting(props.columns, width === 0 ? 0 : width - 16 - (onSelect ? 36 : 0));
  const template = `${onSelect ? "36px " : ""}${tracks.join(" ")}`;

  const printing = usePrinting();
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => height, overscan: printing ? printed : 12, getItemKey: (i) => (rows[i] ? rowKey(rows[i]) : i) });
  useEffect(() => virtual.measure(), [height, virtual]);

  const items = virtual.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && lastShown >= rows.length - 20) more();
  }, [more, lastShown, rows.length]);

  const at = rows.findIndex((r) => rowKey(r) === active);
  const go = useCallback(
    (to: number) => {
      const row = rows[Math.max(0, Math.min(rows.length - 1, to))];
      if (row === undefined) return;
      onActive?.(rowKey(row));
      virtual.scrollToIndex(Math.max(0, Math.min(rows.length - 1, to)), { align: "auto" });
    },
    [rows, rowKey, onActive, virtual],
  );
  const pick = (key: string) => {
    const next = new Set(selected);
    if (!next.delete(key)) next.add(key);
    onSelect?.(next);
  };
  const group = t("keysList");
  useKeys(
    [
      { keys: "j", label: t("keyNext"), group, run: () => go(at + 1) },
      { keys: "k", label: t("keyPrevious"), group, run: () => go(at < 0 ? 0 : at - 1) },
      { keys: "ArrowDown", label: t("keyNext"), group, quiet: true, run: () => go(at + 1) },
      { keys: "ArrowUp", label: t("keyPrevious"), group, quiet: true, run: () => go(at < 0 ? 0 : at - 1) },
      { keys: "Home", label: t("keyFirst"), group, quiet: true, run: () => go(0) },
      { keys: "End", label: t("keyLast"), group, quiet: true, run: () => go(rows.length - 1) },
      ...(onOpen ? [{ keys: "Enter", label: t("keyOpen"), group, run: () => rows[at] && onOpen(rows[at]) }] : []),
      ...(onSelect
        ? [
            { keys: "x", label: t("keySelect"), group, run: () => rows[at] && pick(rowKey(rows[at])) },
            { keys: "shift+x", label: t("keySelectAll"), group, run: () => onSelect(selected && selected.size > 0 ? new Set() : new Set(rows.map(rowKey))) },
          ]
        : []),
    ],
    { off: !keys },
  );

  return (
    <div ref={useMergedRef(scroller, sizeRef)} className={css.scroller} tabIndex={0}>
      <div role="grid" aria-label={props.label} aria-rowcount={(props.total ?? rows.length) + 1} aria-multiselectable={onSelect ? true : undefined} className={css.grid}>
        <div role="rowgroup" className={narrow ? "hidden" : css.head}>
          <div role="row" aria-rowindex={1} className={css.headRow} style={{ gridTemplateColumns: template }}>
            {onSelect ? (
              <div role="columnheader" className={css.box}>
                <Checkbox
                  aria-label={t("selectAll")}
                  tabIndex={narrow ? -1 : 0}
                  checked={rows.length > 0 && selected?.size === rows.length}
                  indeterminate={(selected?.size ?? 0) > 0 && (selected?.size ?? 0) < rows.length}
                  onChange={() => onSelect((selected?.size ?? 0) > 0 ? new Set() : new Set(rows.map(rowKey)))}
                />
              </div>
            ) : null}
            {columns.map((c) => {
              const now = c.sort !== undefined && props.sort?.by === c.sort ? props.sort : undefined;
              return (
                <div key={c.id} role="columnheader" className={css.column} data-align={c.align} aria-sort={now ? (now.up ? "ascending" : "descending") : undefined}>
                  {c.sort && props.onSort ? (
                    <button type="button" className={css.sort} tabIndex={narrow ? -1 : 0} onClick={() => props.onSort?.({ by: c.sort!, up: now ? !now.up : false })}>
                      {c.header}
                      {now ? now.up ? <IconArrowUp size={12} aria-hidden /> : <IconArrowDown size={12} aria-hidden /> : null}
                    </button>
                  ) : (
                    c.header
                  )}
                </div>
              );
            })}
          </div>
        </div>
        <div role="rowgroup" className={css.body} style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            const key = rowKey(row);
            return (
              <div
                key={key}
                role="row"
                aria-rowindex={item.index + 2}
                aria-selected={onSelect ? (selected?.has(key) ?? false) : undefined}
                data-active={key === active || undefined}
                data-selected={selected?.has(key) || undefined}
                className={css.row}
                style={{ height, transform: `translateY(${item.start}px)`, gridTemplateColumns: narrow ? (onSelect ? "36px 1fr" : "1fr") : template }}
                onClick={(event) => {
                  if ((event.target as HTMLElement).closest("a,button,input,label")) return;
                  if (window.getSelection()?.toString()) return; // marking text is not a click
                  onActive?.(key);
                  if (event.shiftKey && onSelect) pick(key);
                  else onOpen?.(row);
                }}
              >
                {onSelect ? (
                  <div role="gridcell" className={css.box}>
                    <Checkbox aria-label={t("select")} checked={selected?.has(key) ?? false} onChange={() => pick(key)} tabIndex={key === active ? 0 : -1} />
                  </div>
                ) : null}
                {narrow ? (
                  <div role="gridcell" className={css.card}>
                    {props.card!(row)}
                  </div>
                ) : (
                  columns.map((c) => (
                    <div key={c.id} role="gridcell" className={css.cell} data-align={c.align}>
                      {c.cell(row)}
                    </div>
                  ))
                )}
              </div>
            );
          })}
        </div>
      </div>
      {props.footer}
    </div>
  );
}
