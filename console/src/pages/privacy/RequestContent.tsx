import { Button, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useState } from "react";

import { useAct } from "~/api/act";
import { answer, client, type Schema } from "~/api/client";
import { problemOf } from "~/api/problem";
import { queries } from "~/api/queries";
import { send } from "~/api/send";
import { useMay } from "~/api/session";
import { Dialog } from "~/parts/Dialog";
import { Facts, Rows } from "~/parts/Facts";
import { Job } from "~/parts/Job";
import { Pill } from "~/parts/Pill";
import { Failed, Loading, Partial } from "~/parts/States";
import { toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useLanguage, useText } from "~/text/text";
import { Time } from "~/time/Time";
import { useStored } from "~/url/stored";

import { dots, Due } from "./Privacy";
import css from "./privacy.module.css";

type Detail = Schema<"RequestDetail">;
type Preview = Schema<"ErasePreviewOutBody">;

/** One request from its receipt to its proof; the next step stands first. */
export function RequestContent({ id }: { id: string }) {
  const t = useText("privacy");
  const words = useText("words");
  const language = useLanguage();
  const may = useMay("privacy:write");
  const [job, setJob] = useStored<string>(`dsrJob.${id}`, "");
  const onEnd = useCallback(() => {
    void queries.invalidateQueries({ queryKey: ["dsr"] });
    setTimeout(() => setJob(""), 4_000);
  }, [setJob]);
  const q = useQuery({ queryKey: ["dsr", "one", id], queryFn: ({ signal }) => answer(client.GET("/api/v1/dsr/{id}", { params: { path: { id } }, signal })) as Promise<Detail> });
  if (q.isPending) return <Loading rows={8} />;
  if (q.error) return <Failed error={q.error} />;
  const r = q.data;
  const n = (v: number) => v.toLocaleString(language);
  return (
    <>
      {job === "" ? null : <Job key={job} id={job} label={t("working")} onEnd={onEnd} />}
      <header className={css.head}>
        <h2>
          {t(`kind.${r.kind}`)}: {visible(r.name)}
        </h2>
        <div className={css.line}>
          <Pill dot={dots[r.status]}>{t(`status.${r.status}`)}</Pill>
          <span>{r.law}</span>
          <Due of={r} />
        </div>
        {may ? <Steps r={r} onJob={setJob} /> : null}
      </header>
      <Facts
        of={[
          [t("identifiers"), r.identifiers.map((i) => `${t(`type.${i.type}`)}: ${visible(i.value)}`).join(" · ")],
          [t("received"), r.receivedOn],
          [t("dueOn"), r.dueOn],
          [t("channel"), visible(r.channel)],
          [t("verification"), `${t(`verification.${r.verification}`)}${r.verifiedBy ? ` · ${visible(r.verifiedBy)}` : ""}${r.verifiedHow ? ` · ${visible(r.verifiedHow)}` : ""}`],
          [t("approvedBy"), r.approvedBy ? visible(r.approvedBy) : null],
          [t("extension"), r.extension ? visible(r.extension) : null],
          [t("reason"), r.reason ? visible(r.reason) : null],
          [words("assignee"), r.assignedTo ? visible(r.assignedTo) : null],
        ]}
      />
      {r.findings ? (
        <section>
          <h2>
            {t("findings")} <Time at={r.findings.at} className="dim" />
          </h2>
          <p>{t("foundEvents", { n: r.findings.events })}</p>
          <Rows
            label={t("findings")}
            head={[t("place"), t("count"), t("treatment")]}
            rows={[
              ...Object.entries(r.findings.bySource).map(([k, v]) => ({ key: `s${k}`, cells: [visible(k), n(v), t("events")] })),
              ...(r.findings.places ?? []).map((p) => ({ key: p.place, cells: [visible(p.place), n(p.objects), visible([p.treatment, p.reason].filter(Boolean).join(": "))] })),
            ]}
          />
        </section>
      ) : null}
      {r.package ? (
        <section>
          <h2>{t("package")}</h2>
          <Facts
            of={[
              [t("events"), n(r.package.events)],
              [t("size"), `${n(r.package.size)} B`],
              ["SHA-256", <span className="mono">{r.package.sha256}</span>],
              [t("until"), <Time at={r.package.expiresAt} />],
            ]}
          />
        </section>
      ) : null}
      {r.erasures.length > 0 ? (
        <section>
          <h2>{t("proof")}</h2>
          {r.erasures.map((p) => (
            <div key={p.id} className={css.proof}>
              <Facts
                of={[
                  [t("found"), n(p.found)],
                  [t("erased"), n(p.erased)],
                  [t("remaining"), n(p.remaining)],
                  [t("erasedBy"), visible(p.erasedBy)],
                  [t("approvedBy"), visible(p.approvedBy)],
                  [t("until"), <Time at={p.until} exactly />],
                  [t("queryHash"), <span className="mono">{p.queryHash}</span>],
                ]}
              />
              {p.places && p.places.length > 0 ? (
                <Rows label={t("proof")} head={[t("place"), t("found"), t("erased"), t("pseudonymised"), t("remaining"), t("reason")]} rows={p.places.map((x) => ({ key: x.place, cells: [visible(x.place), n(x.objects), n(x.erased), n(x.pseudonymised), n(x.remaining), visible(x.reason)] }))} />
              ) : null}
            </div>
          ))}
        </section>
      ) : null}
      <section>
        <h2>{t("history")}</h2>
        <ul className={css.history}>
          {r.history.map((h) => (
            <li key={h.id}>
              <Time at={h.at} className="dim" />
              <span>
                <b>{visible(h.actor)}</b> {visible(h.action)} {visible([h.from, h.to].filter(Boolean).join(" → "))}
                {h.note ? <span className={css.note}>{visible(h.note)}</span> : null}
              </span>
            </li>
          ))}
        </ul>
        {may ? <Comment id={id} /> : null}
      </section>
    </>
  );
}

/** What can be done now, the likely one first. */
function Steps({ r, onJob }: { r: Detail; onJob: (id: string) => void }) {
  const t = useText("privacy");
  const parts = useText("parts");
  const act = useAct();
  const path = `/api/v1/dsr/${r.id}`;
  const renews = [["dsr"]];
  const [asked, setAsked] = useState<"verify" | "extend" | "reject" | "fulfil">();
  const [erasing, setErasing] = useState<Preview>();
  const [text, setText] = useState("");
  const [person, setPerson] = useState<Schema<"PersonOutBody">>();
  const open = r.closedAt === null;
  const job = (url: string, done: string) => void act<Schema<"JobDetail">>({ call: { method: "POST", url }, done, renews }).then((got) => got && onJob(got.id));
  const fault = (error: unknown) => toastFault(parts("actFailed"), error);
  const button = (label: string, run: () => void, first = false) => (
    <Button key={label} size="xs" variant={first ? "filled" : "default"} onClick={run}>
      {label}
    </Button>
  );
  const ask = (what: typeof asked) => {
    setText("");
    setAsked(what);
  };
  const download = async () => {
    const response = await fetch(`${path}/package/download`, { method: "POST", credentials: "same-origin" });
    if (!response.ok) return fault(problemOf(response, await response.json().catch(() => undefined), ""));
    const url = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = url;
    link.download = `request-${r.id}.zip`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  const verified = r.verification === "verified";
  const bodies = {
    verify: { verification: "verified", verifiedHow: text.trim() },
    extend: { extension: text.trim() },
    reject: { status: "REJECTED", reason: text.trim() },
    fulfil: { status: "FULFILLED", ...(text.trim() ? { reason: text.trim() } : {}) },
  };
  return (
    <>
      <div className={css.buttons}>
        {open && !verified ? button(t("verify"), () => ask("verify"), true) : null}
        {open && verified ? button(r.findings ? t("searchAgain") : t("search"), () => job(`${path}/search`, t("searching")), !r.findings) : null}
        {r.findings && (r.kind === "access" || r.kind === "portability") ? button(t("makePackage"), () => job(`${path}/package`, t("packing")), !r.package) : null}
        {r.package ? button(t("download"), () => void download(), true) : null}
        {open && r.kind === "erasure" && r.findings && r.approvedBy === null ? button(t("approve"), () => void act({ call: { method: "PATCH", url: path, body: { approve: true } }, done: t("approved"), renews }), true) : null}
        {open && r.kind === "erasure" && r.findings && r.approvedBy !== null
          ? button(t("erase"), () => void send<Preview>({ method: "POST", url: `${path}/erase/preview` }).then((p) => { setText(""); setErasing(p); }, fault))
          : null}
        {open && r.acknowledgedAt === null && r.acknowledgeBy !== null ? button(t("acknowledge"), () => void act({ call: { method: "PATCH", url: path, body: { acknowledged: true } }, done: t("acknowledged"), renews })) : null}
        {open && verified ? button(t("fulfil"), () => ask("fulfil")) : null}
        {open ? button(t("extend"), () => ask("extend")) : null}
        {open ? button(t("reject"), () => ask("reject")) : null}
        {button(t("reveal"), () => void send<Schema<"PersonOutBody">>({ method: "POST", url: `${path}/reveal` }).then(setPerson, fault))}
      </div>
      {person ? (
        <div className={css.proof}>
          <Facts
            of={[
              [t("person"), visible(person.name)],
              [t("identifiers"), visible(person.identifiers.map((i) => i.value).join(", "))],
              [t("note"), visible(person.note)],
            ]}
          />
          <span className="dim">{t("revealWhy")}</span>
        </div>
      ) : null}
      {asked ? (
        <Dialog
          title={t(asked)}
          action={t(asked)}
          ready={asked === "fulfil" || text.trim() !== ""}
          onClose={() => setAsked(undefined)}
          onSubmit={async () => (await act({ call: { method: "PATCH", url: path, body: bodies[asked] }, done: t("saved"), renews })) !== undefined}
        >
          <Textarea label={asked === "verify" ? t("verifiedHow") : t("reason")} required={asked !== "fulfil"} autosize minRows={2} maxRows={8} value={text} onChange={(e) => setText(e.currentTarget.value)} data-autofocus />
        </Dialog>
      ) : null}
      {erasing ? (
        <Dialog
          title={t("erase")}
          action={t("eraseForEver")}
          ready={text.trim() === r.id && erasing.approved && erasing.heldBy.length === 0}
          onClose={() => setErasing(undefined)}
          onSubmit={async () => {
            const got = await act<Schema<"JobDetail">>({ call: { method: "POST", url: `${path}/erase`, body: { confirm: text.trim() } }, done: t("erasing"), renews });
            if (got) onJob(got.id);
            return got !== undefined;
          }}
        >
          <p style={{ margin: 0 }}>{t("eraseWhy", { n: erasing.events })}</p>
          {erasing.heldBy.length > 0 ? <Partial>{t("held", { names: erasing.heldBy.join(", ") })}</Partial> : null}
          <TextInput label={t("typeId", { id: r.id })} value={text} onChange={(e) => setText(e.currentTarget.value)} styles={{ input: { fontFamily: "var(--font-mono)" } }} data-autofocus />
        </Dialog>
      ) : null}
    </>
  );
}

function Comment({ id }: { id: string }) {
  const t = useText("privacy");
  const act = useAct();
  const [text, setText] = useState("");
  return (
    <form
      className={css.comment}
      onSubmit={(e) => {
        e.preventDefault();
        if (text.trim() === "") return;
        void act({ call: { method: "POST", url: `/api/v1/dsr/${id}/comments`, body: { content: text.trim() } }, done: t("commented"), renews: [["dsr", "one", id]] }).then((got) => got && setText(""));
      }}
    >
      <TextInput size="xs" aria-label={t("comment")} placeholder={t("comment")} value={text} onChange={(e) => setText(e.currentTarget.value)} />
    </form>
  );
}
