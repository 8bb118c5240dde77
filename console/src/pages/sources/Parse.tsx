import { Button, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";

import type { Schema } from "~/api/client";
import { send } from "~/api/send";
import { Facts, Rows } from "~/parts/Facts";
import { Failed } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./sources.module.css";

/** What the server makes of a line, and what decided; nothing is kept. */
export function Parse() {
  const t = useText("sources");
  const forms = useText("forms");
  const words = useText("words");
  const [text, setText] = useState("");
  const [source, setSource] = useState("");
  const [host, setHost] = useState("");
  const [zone, setZone] = useState("");
  const [busy, setBusy] = useState(false);
  const [got, setGot] = useState<Schema<"ParsedItem">[]>();
  const [fault, setFault] = useState<unknown>();
  const run = () => {
    setBusy(true);
    setFault(undefined);
    const more = Object.fromEntries(Object.entries({ source, host, zone }).filter(([, v]) => v.trim() !== "").map(([k, v]) => [k, v.trim()]));
    void send<Schema<"ParseOutBody">>({ method: "POST", url: "/api/v1/siem/parse", body: { text, ...more } })
      .then((a) => setGot(a.records))
      .catch((error: unknown) => {
        setGot(undefined);
        setFault(error);
      })
      .finally(() => setBusy(false));
  };
  return (
    <div className={css.scroll}>
      <form
        className={css.form}
        onSubmit={(e) => {
          e.preventDefault();
          run();
        }}
      >
        <Textarea label={t("lines")} description={t("linesWhy")} autosize minRows={3} maxRows={12} styles={{ input: { fontFamily: "var(--font-mono)", fontSize: 12 } }} placeholder="<38>Oct 11 22:14:15 web-1 sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2" value={text} onChange={(e) => setText(e.currentTarget.value)} />
        <div className={css.three}>
          <TextInput label={`${words("source")} (${forms("optional")})`} value={source} onChange={(e) => setSource(e.currentTarget.value)} />
          <TextInput label={`${words("host")} (${forms("optional")})`} value={host} onChange={(e) => setHost(e.currentTarget.value)} />
          <TextInput label={`${t("timeZone")} (${forms("optional")})`} placeholder="Asia/Seoul" value={zone} onChange={(e) => setZone(e.currentTarget.value)} />
        </div>
        <div>
          <Button type="submit" size="xs" loading={busy} disabled={text.trim() === ""}>
            {t("explain")}
          </Button>
        </div>
      </form>
      {fault ? <Failed error={fault} retry={run} /> : null}
      {(got ?? []).map((r, i) => (
        <section key={i} className={css.record}>
          <Facts of={[[t("parser"), r.parser === "text" ? t("noParser") : visible(r.parser)], [t("why"), visible(r.why)], [words("source"), visible(r.source)], [t("header"), r.header], [words("time"), <Time at={r.timestamp} exactly />], [t("tags"), visible(r.tags.join(", "))], [t("applied"), visible(r.settings.join(", "))]]} />
          <Rows label={t("fields")} head={[t("field"), t("value")]} rows={Object.entries(r.fields).map(([k, v]) => ({ key: k, cells: [<span className="mono">{visible(k)}</span>, visible(typeof v === "string" ? v : JSON.stringify(v))] }))} />
        </section>
      ))}
    </div>
  );
}
