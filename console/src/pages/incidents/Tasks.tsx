import { Checkbox, Menu, TextInput, UnstyledButton } from "@mantine/core";
import { useState } from "react";

import { useAct } from "~/api/act";
import { useMay } from "~/api/session";
import { Pill } from "~/parts/Pill";
import { Raw } from "~/parts/Raw";
import { useText } from "~/text/text";

import type { Incident } from "./data";
import css from "./incidents.module.css";

const states = ["TODO", "DOING", "DONE", "SKIPPED"] as const;
const dots = { TODO: "todo", DOING: "doing", DONE: "done", SKIPPED: "off" } as const;

/** What is to be done: Enter adds one. */
export function Tasks({ incident }: { incident: Incident }) {
  const t = useText("incidents");
  const words = useText("words");
  const act = useAct();
  const may = useMay("incidents:write");
  const [title, setTitle] = useState("");
  const renews = [["incidents", "one", incident.id]];
  const url = `/api/v1/incidents/${incident.id}/tasks`;
  const set = (task: Incident["tasks"][number], status: (typeof states)[number]) =>
    void act({
      call: { method: "PATCH", url: `${url}/${task.id}`, body: { status } },
      undo: { method: "PATCH", url: `${url}/${task.id}`, body: { status: task.status } },
      done: `${task.title}: ${words(`task.${status}`)}`,
      renews,
    });
  const open = incident.tasks.filter((x) => x.status === "TODO" || x.status === "DOING").length;
  return (
    <section>
      <h2>
        {t("tasks")} <span className="dim">{incident.tasks.length > 0 ? t("tasksOpen", { n: open, all: incident.tasks.length }) : ""}</span>
      </h2>
      <ul className={css.tasks}>
        {incident.tasks.map((task) => (
          <li key={task.id} data-done={task.status === "DONE" || task.status === "SKIPPED" || undefined}>
            <Checkbox disabled={!may} aria-label={task.title} checked={task.status === "DONE"} indeterminate={task.status === "DOING"} onChange={() => set(task, task.status === "DONE" ? "TODO" : "DONE")} />
            <Raw text={task.title} className={css.taskTitle} />
            <Menu disabled={!may}>
              <Menu.Target>
                <UnstyledButton aria-label={`${task.title}: ${words(`task.${task.status}`)}`}>
                  <Pill dot={dots[task.status]}>{words(`task.${task.status}`)}</Pill>
                </UnstyledButton>
              </Menu.Target>
              <Menu.Dropdown>
                {states.map((s) => (
                  <Menu.Item key={s} onClick={() => set(task, s)}>
                    {words(`task.${s}`)}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
          </li>
        ))}
      </ul>
      {may ? (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            const name = title.trim();
            if (name === "") return;
            setTitle("");
            void act({ call: { method: "POST", url, body: { title: name } }, done: t("taskAdded"), renews });
          }}
        >
          <TextInput size="xs" aria-label={t("addTask")} placeholder={t("addTask")} maxLength={500} value={title} onChange={(e) => setTitle(e.currentTarget.value)} />
        </form>
      ) : null}
    </section>
  );
}
