import { ActionIcon, Button, Menu, Tooltip } from "@mantine/core";
import { IconChevronDown, IconFlagOff, IconMessage, IconStairsUp, IconUserCheck, IconX, type Icon } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { useMay } from "~/api/session";
import { useKeys } from "~/keys/keys";
import { useText } from "~/text/text";

import { useAlertActions } from "./actions";
import css from "./alerts.module.css";
import { AssignDialog, FalseDialog, NoteDialog } from "./dialogs";
import { StatusPill } from "./columns";
import { statuses, type AlertRow } from "./data";

type Question = { kind: "false" | "note" | "assign"; rows: AlertRow[]; onDone?: (rows: AlertRow[]) => void };

/** The questions that actions ask, one at a time. */
export function useAsked(): { ask: (q: Question) => void; dialog: ReactNode } {
  const [question, setQuestion] = useState<Question>();
  const actions = useAlertActions();
  const close = () => setQuestion(undefined);
  const done = (does: Promise<unknown>) => {
    const q = question;
    close();
    void does;
    if (q?.kind === "false") q.onDone?.(q.rows);
  };
  return {
    ask: setQuestion,
    dialog: (
      <>
        <FalseDialog opened={question?.kind === "false"} onClose={close} onAnswer={(note) => done(actions.falsePositive(question!.rows, note))} />
        <NoteDialog opened={question?.kind === "note"} onClose={close} onAnswer={(note) => done(actions.comment(question!.rows, note))} />
        <AssignDialog opened={question?.kind === "assign"} onClose={close} onAnswer={(who) => done(actions.assign(question!.rows, who))} />
      </>
    ),
  };
}

/** What can be done with rows, by mouse and by key. */
export function ActionBar({ rows, count, asked, onDone, onClear, inPanel = false }: { rows: AlertRow[]; count: number; asked: ReturnType<typeof useAsked>; onDone: (rows: AlertRow[]) => void; onClear: () => void; inPanel?: boolean }) {
  const t = useText("alerts");
  const actions = useAlertActions();
  const navigate = useNavigate();
  const may = useMay("alerts:write");
  const [statusOpen, setStatusOpen] = useState(false);
  const group = t("keys");

  const set = (status: AlertRow["status"]) => {
    void actions.setStatus(rows, status);
    if (status === "RESOLVED" || status === "FALSE_POSITIVE") onDone(rows);
  };
  const escalate = () =>
    void actions.escalate(rows).then((id) => {
      if (id !== undefined && rows.length > 1) void navigate({ to: `/incidents/${id}` });
    });
  const ask = (kind: Question["kind"]) => asked.ask({ kind, rows, onDone });

  useKeys([
    { keys: "a", label: t("assignToMe"), group, run: () => void actions.assignToMe(rows) },
    { keys: "shift+a", label: t("assign"), group, run: () => ask("assign") },
    { keys: "s", label: t("setStatus"), group, run: () => setStatusOpen(true) },
    { keys: "r", label: t("resolve"), group, run: () => set("RESOLVED") },
    { keys: "f", label: t("falsePositive"), group, run: () => ask("false") },
    { keys: "e", label: t("escalate"), group, run: escalate },
    { keys: "c", label: t("comment"), group, run: () => ask("note") },
  ], { off: rows.length === 0 || !may });

  if (!may) return null;
  const incident = rows.length === 1 ? rows[0]!.triage?.incidentId : null;
  return (
    <div className={inPanel ? css.actionsInPanel : css.actions} role="toolbar" aria-label={t("keys")}>
      {count > 0 ? (
        <>
          <span className={css.count}>{t("selected", { n: count })}</span>
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label={t("clearSelection")} onClick={onClear}>
            <IconX size={14} />
          </ActionIcon>
        </>
      ) : null}
      <Act small={inPanel} icon={IconUserCheck} label={t("assignToMe")} keys="a" onClick={() => void actions.assignToMe(rows)} />
      {/* Not by keydown: the key that opens it would close it again. */}
      <Menu opened={statusOpen} onChange={setStatusOpen} position="bottom-start" clickOutsideEvents={["mousedown", "touchstart"]}>
        <Menu.Target>
          <Tooltip label={`${t("setStatus")} (s)`}>
            <Button size={inPanel ? "compact-xs" : "compact-sm"} variant="subtle" color="gray" rightSection={<IconChevronDown size={12} aria-hidden />}>
              {t("setStatus")}
            </Button>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          {statuses.map((s) => (
            <Menu.Item key={s} onClick={() => (s === "FALSE_POSITIVE" ? ask("false") : set(s))}>
              <StatusPill of={s} />
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <Act small={inPanel} icon={IconFlagOff} label={t("falsePositive")} keys="f" onClick={() => ask("false")} />
      {incident ? (
        <Act small={inPanel} icon={IconStairsUp} label={t("openIncident")} keys="" onClick={() => void navigate({ to: `/incidents/${incident}` })} />
      ) : (
        <Act small={inPanel} icon={IconStairsUp} label={t("escalate")} keys="e" onClick={escalate} />
      )}
      <Act small={inPanel} icon={IconMessage} label={t("comment")} keys="c" onClick={() => ask("note")} />
    </div>
  );
}

function Act({ icon: Icon, label, keys, small, onClick }: { icon: Icon; label: string; keys: string; small: boolean; onClick: () => void }) {
  return (
    <Tooltip label={keys ? `${label} (${keys})` : label}>
      <Button size={small ? "compact-xs" : "compact-sm"} variant="subtle" color="gray" leftSection={small ? null : <Icon size={14} stroke={1.6} aria-hidden />} onClick={onClick}>
        {label}
      </Button>
    </Tooltip>
  );
}
