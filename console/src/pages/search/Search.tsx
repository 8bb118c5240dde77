import { ActionIcon, Button, Menu, Modal, Switch, TextInput, Tooltip } from "@mantine/core";
import { IconBookmark, IconDownload, IconLayoutSidebar, IconLink, IconTrash, IconUsers, IconUsersMinus } from "@tabler/icons-react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useRef, useState } from "react";

import { Problem } from "~/api/problem";
import { curlFor, send } from "~/api/send";
import { useSession } from "~/api/session";
import { PageHead } from "~/frame/PageHead";
import { useKeys } from "~/keys/keys";
import { copy } from "~/parts/copy";
import { saveFile } from "~/parts/file";
import { Histogram } from "~/parts/Histogram";
import { rangeOf } from "~/parts/range";
import { Empty, Failed, Loading, Partial } from "~/parts/States";
import { narrow, term } from "~/parts/term";
import { TimeRange } from "~/parts/TimeRange";
import { toast, toastFault } from "~/parts/Toasts";
import { ValueFilter } from "~/parts/Value";
import { useViews } from "~/parts/views";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { useStored } from "~/url/stored";
import { parseQuery, useUrl, writeQuery } from "~/url/url";

import { csvOf } from "./csv";
import { eventsQuery, fieldsQuery, placeOf, searchCall, type Field, type Result, type StoredEvent } from "./data";
import { Events } from "./Events";
import { Fields } from "./Fields";
import { QueryBox } from "./QueryBox";
import css from "./search.module.css";
import { useTail } from "./tail";

/** Search in events: query, time, histogram, fields, lines; all of it in the address. */
export default function Search() {
  const t = useText("search");
  const parts = useText("parts");
  const url = useUrl();
  const query = url.get("q") ?? "";
  const tailing = url.get("tail") === "1";
  const [asideOpen, setAside] = useStored("searchFields", window.innerWidth > 900);

  // A range that ends now stands still until it is asked for again: lines must not move.
  const [round, setRound] = useState(0);
  const last = url.get("last");
  const fromText = url.get("from");
  const toText = url.get("to");
  const range = useMemo(() => rangeOf({ get: (n) => ({ last, from: fromText, to: toText })[n] }, "24h", Math.ceil(Date.now() / 1000) * 1000), [last, fromText, toText, round, query]);
  const asked = useMemo(() => ({ query, from: range.from, to: range.to }), [query, range]);

  const search = useInfiniteQuery(eventsQuery(asked));
  const fields = useQuery(fieldsQuery(asked));
  // A query that cannot be read has no fields: those from before still complete it.
  const known = useRef<Field[]>([]);
  if (fields.data) known.current = fields.data.fields;
  const tail = useTail(query, tailing);
  const found = search.data?.pages[0];
  const events = useMemo(() => (tailing ? tail.events : (search.data?.pages.flatMap((p) => p.events) ?? [])), [tailing, tail.events, search.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = search;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);

  const invalid = search.error instanceof Problem && search.error.status === 400 ? search.error : undefined;
  const run = (next: string) => {
    if (next === query) setRound((n) => n + 1);
    url.set({ q: next === "" ? undefined : next });
  };
  const setTail = (on: boolean) => url.set({ tail: on ? "1" : undefined }, { replace: true });
  useKeys([
    { keys: "t", label: t("tail"), group: t("title"), run: () => setTail(!tailing) },
    { keys: "r", label: t("again"), group: t("title"), run: () => setRound((n) => n + 1) },
  ]);

  const shareUrl = () => {
    const to = new URL(window.location.href);
    to.searchParams.delete("last");
    to.searchParams.set("from", new Date(range.from).toISOString());
    to.searchParams.set("to", new Date(range.to).toISOString());
    return to.href;
  };

  return (
    <ValueFilter onFilter={(field, value, out) => run(narrow(query, term(field, value, out)))}>
      <PageHead title={t("title")}>
        <span className={css.headTools}>
          <Saved query={query} last={last} onOpen={(s) => url.set({ q: s.query || undefined, last: s.last, from: undefined, to: undefined })} />
          <Tooltip label={t("share")}>
            <ActionIcon variant="subtle" color="gray" aria-label={t("share")} onClick={() => void copy(shareUrl()).then((ok) => ok && toast(t("shared"), { curl: curlFor(searchCall(asked, { limit: 50 })) }))}>
              <IconLink size={16} stroke={1.6} />
            </ActionIcon>
          </Tooltip>
          <Export asked={asked} total={found?.total ?? 0} />
        </span>
      </PageHead>
      <div className={css.top}>
        <QueryBox query={query} fields={known.current} busy={search.isFetching && !isFetchingNextPage} onRun={run} fault={invalid ? { at: placeOf(invalid.remedy), text: invalid.remedy } : undefined} />
        <TimeRange />
        <Switch size="sm" label={t("tail")} checked={tailing} onChange={(e) => setTail(e.currentTarget.checked)} />
      </div>
      {invalid === undefined && search.error ? <Failed error={search.error} retry={() => void search.refetch()} /> : null}
      {found?.histogram && !tailing && invalid === undefined ? (
        <div className={css.histogram}>
          <Histogram bars={found.histogram} to={range.to} onZoom={(from, to) => url.set({ last: undefined, from: new Date(from).toISOString(), to: new Date(to).toISOString() })} />
        </div>
      ) : null}
      <div className={css.status}>
        <ActionIcon size="sm" variant="subtle" color="gray" aria-label={t("fields")} aria-pressed={asideOpen} onClick={() => setAside(!asideOpen)}>
          <IconLayoutSidebar size={14} />
        </ActionIcon>
        <span role="status">
          {tailing ? t("tailing", { n: tail.events.length }) : found ? t("found", { n: found.total }) : ""}
          {found && !tailing ? <span className="dim"> · {t("took", { ms: found.queryTime })}</span> : null}
        </span>
        {query ? (
          <Button size="compact-xs" variant="subtle" color="gray" onClick={() => run("")}>
            {t("clear")}
          </Button>
        ) : null}
      </div>
      {found?.partial ? <Partial>{found.partial}</Partial> : null}
      {tailing && tail.missed > 0 ? <Partial>{t("tailMissed")}</Partial> : null}
      {tailing && tail.error ? <Failed error={tail.error} /> : null}
      <div className={css.body} data-stale={search.isPlaceholderData || undefined}>
        {asideOpen ? <Fields fields={known.current} total={found?.total ?? 0} pending={fields.isPending} /> : null}
        {search.isPending && !tailing ? <Loading rows={12} /> : null}
        {events.length > 0 ? <Events events={events} total={tailing ? events.length : (found?.total ?? events.length)} more={tailing ? undefined : more} /> : null}
        {events.length === 0 && !search.isPending && !search.error ? (
          tailing ? (
            <Empty title={t("tailEmpty")}>{t("tailEmptyWhy")}</Empty>
          ) : (
            <Empty
              title={t("nothing")}
              action={
                range.span && range.span !== "90d" ? (
                  <Button size="xs" variant="default" onClick={() => url.set({ last: range.span === "30d" ? "90d" : "30d" })}>
                    {t("widen")}
                  </Button>
                ) : undefined
              }
            >
              {query ? parts("filteredOutWhy") : t("nothingWhy")}
            </Empty>
          )
        ) : null}
      </div>
    </ValueFilter>
  );
}

type SavedSearch = { query: string; last?: string | undefined };

const keptBefore = {
  name: "searches",
  read: (kept: unknown) => (kept as (SavedSearch & { name: string })[]).map((s) => ({ name: s.name.slice(0, 60), query: writeSearch(s) })),
};

function writeSearch({ query, last }: SavedSearch): string {
  return writeQuery({ ...(query === "" ? {} : { q: query }), last }).replace(/^\?/, "");
}

function readSearch(text: string): SavedSearch {
  const { q, last } = parseQuery(text);
  return { query: typeof q === "string" ? q : "", last: typeof last === "string" ? last : undefined };
}

/** Searches that were saved: one's own, and those that others share. */
function Saved({ query, last, onOpen }: { query: string; last: string | undefined; onOpen: (s: SavedSearch) => void }) {
  const t = useText("search");
  const parts = useText("parts");
  const { role } = useSession();
  const { views, save, remove, share } = useViews(
    "search",
    { saved: (name) => t("savedAs", { name }), removed: (name) => t("searchRemoved", { name }), shared: (name) => t("searchShared", { name }), unshared: (name) => t("searchUnshared", { name }), unsharedOf: (name, owner) => t("searchUnsharedOf", { name, owner }) },
    keptBefore,
  );
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [shared, setShared] = useState(false);
  return (
    <>
      <Menu width={360}>
        <Menu.Target>
          <Tooltip label={t("saved")}>
            <ActionIcon variant="subtle" color="gray" aria-label={t("saved")}>
              <IconBookmark size={16} stroke={1.6} />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown mah="70vh" style={{ overflowY: "auto" }}>
          <Menu.Item onClick={() => setNaming(true)}>{t("save")}</Menu.Item>
          {views.length > 0 ? <Menu.Divider /> : null}
          {views.map((v) => {
            const s = readSearch(v.query);
            return (
              <div key={v.id} className={css.savedRow}>
                <Menu.Item onClick={() => onOpen(s)}>
                  {visible(v.name)} {v.own ? null : <span className="dim">· {t("sharedBy", { name: visible(v.owner) })}</span>}
                  <div className="dim mono">{visible(s.query) || "*"}</div>
                </Menu.Item>
                {v.own || role === "Admin" ? (
                  <>
                    <Menu.Item w={36} aria-label={`${v.shared ? t("unshareSearch") : t("shareSearch")}: ${visible(v.name)}`} title={v.shared ? t("unshareSearch") : t("shareSearch")} onClick={() => void share(v)}>
                      {v.shared ? <IconUsersMinus size={14} aria-hidden /> : <IconUsers size={14} aria-hidden />}
                    </Menu.Item>
                    <Menu.Item w={36} aria-label={t("removeSaved", { name: visible(v.name) })} onClick={() => void remove(v)}>
                      <IconTrash size={14} aria-hidden />
                    </Menu.Item>
                  </>
                ) : null}
              </div>
            );
          })}
        </Menu.Dropdown>
      </Menu>
      <Modal opened={naming} onClose={() => setNaming(false)} title={t("save")} closeButtonProps={{ "aria-label": parts("close") }}>
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (name.trim() === "") return;
            void save(name.trim(), writeSearch({ query, last }), shared).then((done) => {
              if (!done) return;
              setNaming(false);
              setName("");
              setShared(false);
            });
          }}
        >
          <TextInput label={t("savedName")} maxLength={60} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus mb="md" />
          <Switch label={t("shareSearch")} checked={shared} onChange={(e) => setShared(e.currentTarget.checked)} mb="md" />
          <Button type="submit" disabled={name.trim() === ""}>
            {parts("save")}
          </Button>
        </form>
      </Modal>
    </>
  );
}

const exportMost = 50_000;

/** Reads page after page into a file, with progress and a way to stop. */
function Export({ asked, total }: { asked: { query: string; from: number; to: number }; total: number }) {
  const t = useText("search");
  const parts = useText("parts");
  const [progress, setProgress] = useState<{ n: number; stop: AbortController }>();
  async function run() {
    const stop = new AbortController();
    const events: StoredEvent[] = [];
    setProgress({ n: 0, stop });
    try {
      let cursor: string | undefined;
      do {
        const page: Result = await send<Result>(searchCall(asked, { limit: 5_000, ...(cursor ? { cursor } : {}) }), stop.signal);
        events.push(...page.events);
        cursor = page.nextCursor ?? undefined;
        setProgress({ n: events.length, stop });
      } while (cursor !== undefined && events.length < exportMost);
      saveFile(`kyra-events-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.csv`, "text/csv;charset=utf-8", csvOf(events));
      toast(cursor === undefined ? t("exported", { n: events.length }) : t("exportedPart", { n: events.length, total }));
    } catch (error) {
      if (!stop.signal.aborted) toastFault(t("exportFailed"), error);
    } finally {
      setProgress(undefined);
    }
  }
  if (progress)
    return (
      <Button size="compact-xs" variant="default" onClick={() => progress.stop.abort()}>
        {t("exporting", { n: progress.n })} · {parts("cancel")}
      </Button>
    );
  return (
    <Tooltip label={t("export")}>
      <ActionIcon variant="subtle" color="gray" aria-label={t("export")} onClick={() => void run()}>
        <IconDownload size={16} stroke={1.6} />
      </ActionIcon>
    </Tooltip>
  );
}
