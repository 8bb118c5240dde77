import { Button, Textarea } from "@mantine/core";
import { useRef, useState } from "react";

import { useAct } from "~/api/act";
import { useMay } from "~/api/session";
import { useKeys } from "~/keys/keys";
import { Raw } from "~/parts/Raw";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useStored } from "~/url/stored";

import type { Incident } from "./data";
import css from "./incidents.module.css";

/** What was said. A comment that is being written survives leaving the page. */
export function Comments({ incident }: { incident: Incident }) {
  const t = useText("incidents");
  const act = useAct();
  const may = useMay("incidents:write");
  const [text, setText] = useStored(`comment.${incident.id}`, "");
  const [busy, setBusy] = useState(false);
  const box = useRef<HTMLTextAreaElement>(null);
  useKeys([{ keys: "c", label: t("comment"), group: t("title"), run: () => box.current?.focus() }], { off: !may });
  async function submit() {
    if (text.trim() === "" || busy) return;
    setBusy(true);
    const made = await act({ call: { method: "POST", url: `/api/v1/incidents/${incident.id}/comments`, body: { content: text.trim() } }, done: t("commented"), renews: [["incidents", "one", incident.id]] });
    if (made) setText("");
    setBusy(false);
  }
  return (
    <section>
      <h2>
        {t("comments")} <span className="dim">{incident.comments.length}</span>
      </h2>
      <ul className={css.comments}>
        {incident.comments.map((c) => (
          <li key={c.id}>
            <div className={css.commentHead}>
              <b>
                <Raw text={c.author} />
              </b>
              <Time at={c.createdAt} className="dim" />
            </div>
            <Raw text={c.content} className={css.commentText} />
          </li>
        ))}
      </ul>
      {may ? (
        <div className={css.write}>
          <Textarea
            ref={box}
            aria-label={t("comment")}
            placeholder={t("commentPlaceholder")}
            autosize
            minRows={2}
            maxRows={12}
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
            onKeyDown={(e) => {
              if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) void submit();
              if (e.key === "Escape") e.currentTarget.blur();
            }}
          />
          <Button size="xs" loading={busy} disabled={text.trim() === ""} onClick={() => void submit()}>
            {t("comment")}
          </Button>
        </div>
      ) : null}
    </section>
  );
}
