import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { useCallback, useState } from "react";

import type { usePages } from "~/api/pages";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { DataTable, type Column, type Sort } from "./DataTable";
import css from "./listing.module.css";
import { SidePanel } from "./SidePanel";
import { Empty, Failed, Loading } from "./States";

type Props<Row extends { id: string }> = {
  label: string;
  list: ReturnType<typeof usePages<Row>>;
  columns: Column<Row>[];
  /** What this is for and the next step, where there is nothing at all. */
  empty: { title: string; why: string; action?: ReactNode };
  /** Names in the address that narrow the list. */
  filters?: readonly string[];
  /** What is shown beside the list of the item that the address names. */
  panel?: ((id: string, row: Row | undefined, close: () => void) => ReactNode) | undefined;
  panelActions?: (id: string, row: Row | undefined, close: () => void) => ReactNode;
  onOpen?: (row: Row) => void;
  /** Its name in the address, where a page holds several lists. */
  open?: string;
  card?: (row: Row) => ReactNode;
  cardHeight?: number;
  rowHeight?: number;
  sort?: Sort;
  onSort?: (next: Sort) => void;
};

/** A list with all its states, and a panel beside it. */
export function Listing<Row extends { id: string }>(props: Props<Row>) {
  const { list, empty, filters = [], panel } = props;
  const parts = useText("parts");
  const url = useUrl();
  const name = props.open ?? "open";
  const open = url.get(name);
  const [active, setActive] = useState<string | undefined>(open);
  const onActive = useCallback(
    (id: string) => {
      setActive(id);
      if (open !== undefined) url.set({ [name]: id }, { replace: true });
    },
    [open, name, url],
  );
  const close = () => url.set({ [name]: undefined });
  const row = list.rows.find((r) => r.id === open);
  const filtered = filters.some((n) => url.get(n) !== undefined);
  return (
    <div className={css.split}>
      <div className={css.list}>
        {list.query.isPending ? <Loading rows={8} /> : null}
        {list.query.error ? <Failed error={list.query.error} retry={() => void list.query.refetch()} /> : null}
        {list.query.data && list.rows.length === 0 ? (
          filtered ? (
            <Empty
              title={parts("filteredOut")}
              action={
                <Button size="xs" variant="default" onClick={() => url.set(Object.fromEntries(filters.map((n) => [n, undefined])))}>
                  {parts("clearFilters")}
                </Button>
              }
            >
              {parts("filteredOutWhy")}
            </Empty>
          ) : (
            <Empty title={empty.title} action={empty.action}>
              {empty.why}
            </Empty>
          )
        ) : null}
        {list.rows.length > 0 ? (
          <DataTable
            label={props.label}
            rows={list.rows}
            columns={props.columns}
            rowKey={(r) => r.id}
            active={active}
            onActive={onActive}
            onOpen={props.onOpen ?? (panel ? (r) => url.set({ [name]: r.id }) : undefined)}
            more={list.more}
            total={list.total}
            card={props.card}
            cardHeight={props.cardHeight ?? 64}
            rowHeight={props.rowHeight ?? 40}
            sort={props.sort}
            onSort={props.onSort}
          />
        ) : null}
      </div>
      {panel && open !== undefined ? (
        <SidePanel label={props.label} onClose={close} actions={props.panelActions?.(open, row, close)}>
          <div className={css.panel} key={open}>
            {panel(open, row, close)}
          </div>
        </SidePanel>
      ) : null}
    </div>
  );
}
