import { ActionIcon, Button, Indicator, Popover } from "@mantine/core";
import { IconInbox } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { answer, client } from "~/api/client";
import { queries } from "~/api/queries";
import { send } from "~/api/send";
import { Raw } from "~/parts/Raw";
import { SeverityMark, type SeverityName } from "~/parts/Severity";
import { Empty, Failed, Loading } from "~/parts/States";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./frame.module.css";

/** What KYRA tells this person; the number waits until they look. */
export function Notifications() {
  const t = useText("frame");
  const [opened, setOpened] = useState(false);
  const unread = useQuery({ queryKey: ["notifications", "unread"], queryFn: () => answer(client.GET("/api/v1/notifications/unread-count")), refetchInterval: 30_000 });
  const n = unread.data?.unread ?? 0;
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={400} trapFocus returnFocus>
      <Indicator disabled={n === 0} label={n > 99 ? "99+" : n} size={14} offset={6} color="blue" classNames={{ indicator: css.unread }}>
        <Popover.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={t("notificationsUnread", { n })} onClick={() => setOpened(!opened)}>
            <IconInbox size={18} stroke={1.6} />
          </ActionIcon>
        </Popover.Target>
      </Indicator>
      <Popover.Dropdown p={0}>{opened ? <Inbox onClose={() => setOpened(false)} /> : null}</Popover.Dropdown>
    </Popover>
  );
}

function Inbox({ onClose }: { onClose: () => void }) {
  const t = useText("frame");
  const list = useQuery({ queryKey: ["notifications", "list"], queryFn: () => answer(client.GET("/api/v1/notifications", { params: { query: { size: 30 } } })) });
  const renew = () => queries.invalidateQueries({ queryKey: ["notifications"] });
  return (
    <div className={css.inbox}>
      <div className={css.inboxHead}>
        <h2>{t("notifications")}</h2>
        <Button size="compact-xs" variant="subtle" onClick={() => void send({ method: "POST", url: "/api/v1/notifications/read-all" }).then(renew)}>
          {t("readAll")}
        </Button>
      </div>
      {list.isPending ? <Loading rows={4} /> : null}
      {list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : null}
      {list.data?.content.length === 0 ? <Empty title={t("inboxEmpty")}>{t("inboxEmptyWhy")}</Empty> : null}
      {list.data?.content.map((n) => (
        <Link
          key={n.id}
          to={pathOf(n.kind, n.objectId)}
          className={css.notice}
          data-unread={!n.read || undefined}
          onClick={() => {
            if (!n.read) void send({ method: "PATCH", url: `/api/v1/notifications/${n.id}`, body: { read: true } }).then(renew);
            onClose();
          }}
        >
          <SeverityMark of={n.severity as SeverityName} />
          <span className={css.noticeText}>
            <Raw text={n.title} />
            <Raw text={n.message} className="dim" />
            <Time at={n.createdAt} className="dim" />
          </span>
        </Link>
      ))}
    </div>
  );
}

/** The page of what a notification is about. */
function pathOf(kind: string, id: string): string {
  if (id !== "" && kind === "alert") return `/alerts/${id}`;
  if (id !== "" && kind === "incident") return `/incidents/${id}`;
  return kind === "rule" && id !== "" ? `/rules/${id}` : "/";
}
