import { Button, NumberInput, PasswordInput, Switch, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import { queries } from "~/api/queries";
import { send } from "~/api/send";
import { useMay, useSession } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import { copy } from "~/parts/copy";
import { Dialog } from "~/parts/Dialog";
import { Facts, Rows } from "~/parts/Facts";
import { Pill } from "~/parts/Pill";
import { Failed, Loading } from "~/parts/States";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import { Passkeys } from "./Passkeys";
import type { OpenSession, Policy, Safety } from "./people";
import css from "./settings.module.css";

/** What the own sign-in rests on, where it goes on, and how people of the tenant sign in. */
export default function Security() {
  const t = useText("settings");
  const q = useQuery({ queryKey: ["security"], queryFn: ({ signal }) => send<Safety>({ method: "GET", url: "/api/v1/session/security" }, signal) });
  const access = useText("access");
  const { secondFactorMissing } = useSession();
  const policyRight = useMay("settings:write");
  if (q.isPending) return <Loading rows={4} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  return (
    <div className={css.scroll}>
      {secondFactorMissing && (q.data.secondFactor || q.data.recoveryCodesLeft > 0) ? (
        <section className={css.part}>
          <h2>{access("prove")}</h2>
          <Prove />
        </section>
      ) : null}
      <section className={css.part}>
        <h2>{t("password")}</h2>
        <Password changedAt={q.data.passwordChangedAt} />
      </section>
      <section className={css.part}>
        <h2>{t("secondFactor")}</h2>
        <SecondFactor safety={q.data} />
      </section>
      <section className={css.part}>
        <h2>{access("passkeys")}</h2>
        <Passkeys hasPassword={q.data.passwordChangedAt !== null} />
      </section>
      <section className={css.part}>
        <h2>{t("sessions")}</h2>
        <Sessions />
      </section>
      {policyRight ? (
        <section className={css.part}>
          <h2>{t("policy")}</h2>
          <SignInPolicy />
        </section>
      ) : null}
    </div>
  );
}

/** Makes a call that answers with nothing; tells whether it was done. */
function useDo() {
  const parts = useText("parts");
  return (method: "POST" | "PUT" | "DELETE", url: string, body: unknown, done: string) =>
    send({ method, url, body }).then(
      () => {
        toast(done);
        void queries.invalidateQueries({ queryKey: ["security"] });
        return true;
      },
      (error: unknown) => {
        toastFault(parts("actFailed"), error);
        return false;
      },
    );
}

/** Who came from an identity provider that asks for no second factor shows it here. */
function Prove() {
  const access = useText("access");
  const run = useDo();
  const [code, setCode] = useState("");
  return (
    <form
      className={css.part}
      style={{ padding: 0 }}
      onSubmit={(e) => {
        e.preventDefault();
        void run("POST", "/api/v1/session/second-factor/prove", { code: code.trim() }, access("proved")).then((done) => void (done && queries.invalidateQueries({ queryKey: ["session"] })));
      }}
    >
      <p>{access("proveWhy")}</p>
      <TextInput style={{ maxWidth: 320 }} label={access("proveCode")} autoComplete="one-time-code" required value={code} onChange={(e) => setCode(e.currentTarget.value)} />
      <div className={css.buttons}>
        <Button size="xs" type="submit" disabled={code.trim() === ""}>
          {access("prove")}
        </Button>
      </div>
    </form>
  );
}

function Password({ changedAt }: { changedAt: string | null }) {
  const t = useText("settings");
  const forms = useText("forms");
  const run = useDo();
  const [open, setOpen] = useState(false);
  const [now, setNow] = useState("");
  const [next, setNext] = useState("");
  return (
    <>
      <Facts of={[[t("passwordChanged"), changedAt ? <Time at={changedAt} /> : t("noPassword")]]} />
      <div className={css.buttons}>
        <Button
          size="xs"
          variant="default"
          onClick={() => {
            setNow("");
            setNext("");
            setOpen(true);
          }}
        >
          {t("changePassword")}
        </Button>
      </div>
      {open ? (
        <Dialog title={t("changePassword")} action={forms("change")} ready={now !== "" && [...next].length >= 12} onClose={() => setOpen(false)} onSubmit={() => run("PUT", "/api/v1/session/password", { currentPassword: now, password: next }, t("passwordDone"))}>
          <PasswordInput label={t("passwordNow")} autoComplete="current-password" value={now} onChange={(e) => setNow(e.currentTarget.value)} data-autofocus />
          <PasswordInput label={t("passwordNext")} description={t("passwordRule")} autoComplete="new-password" value={next} onChange={(e) => setNext(e.currentTarget.value)} />
        </Dialog>
      ) : null}
    </>
  );
}

type Enrolment = { secret: string; uri: string; qr: string };

function SecondFactor({ safety }: { safety: Safety }) {
  const t = useText("settings");
  const forms = useText("forms");
  const parts = useText("parts");
  const access = useText("access");
  const run = useDo();
  const hasPassword = safety.passwordChangedAt !== null;
  const [step, setStep] = useState<"start" | "remove" | "codes">();
  const [password, setPassword] = useState("");
  const [enrolment, setEnrolment] = useState<Enrolment>();
  const [code, setCode] = useState("");
  const [codes, setCodes] = useState<string[]>();
  const begin = (s: typeof step) => {
    setPassword("");
    setCode("");
    setStep(s);
  };
  const fault = (error: unknown) => {
    toastFault(parts("actFailed"), error);
    return false;
  };
  const url = "/api/v1/session/second-factor";
  return (
    <>
      <p>{safety.secondFactor ? t("factorOn", { n: safety.recoveryCodesLeft }) : safety.passkeys > 0 ? access("factorPasskey", { n: safety.recoveryCodesLeft }) : safety.secondFactorRequired ? t("factorNeeded") : t("factorOff")}</p>
      <div className={css.buttons}>
        {safety.secondFactor ? (
          <>
            <Button size="xs" variant="default" onClick={() => begin("codes")}>
              {t("newCodes")}
            </Button>
            <Button size="xs" variant="default" onClick={() => begin("remove")}>
              {forms("remove")}
            </Button>
          </>
        ) : (
          <>
            <Button size="xs" variant="default" onClick={() => begin("start")}>
              {t("setUpFactor")}
            </Button>
            {safety.passkeys > 0 ? (
              <Button size="xs" variant="default" onClick={() => begin("codes")}>
                {t("newCodes")}
              </Button>
            ) : null}
          </>
        )}
      </div>
      {codes ? (
        <>
          <p>{t("codesWhy")}</p>
          <ul className={css.codes}>
            {codes.map((c) => (
              <li key={c}>{c}</li>
            ))}
          </ul>
          <div className={css.buttons}>
            <Button size="xs" variant="default" onClick={() => void copy(codes.join("\n")).then((ok) => ok && toast(parts("copied")))}>
              {parts("copy")}
            </Button>
            <Button size="xs" variant="default" onClick={() => setCodes(undefined)}>
              {forms("kept")}
            </Button>
          </div>
        </>
      ) : null}
      {step ? (
        <Dialog
          title={step === "start" ? t("setUpFactor") : step === "remove" ? t("removeFactor") : t("newCodes")}
          action={t("next")}
          ready={!hasPassword || password !== ""}
          onClose={() => setStep(undefined)}
          onSubmit={() => {
            if (step === "remove") return run("POST", `${url}/remove`, { password }, t("factorRemoved"));
            if (step === "codes")
              return send<{ recoveryCodes: string[] }>({ method: "POST", url: "/api/v1/session/recovery-codes", body: { password } }).then((got) => {
                setCodes(got.recoveryCodes);
                return true;
              }, fault);
            return send<Enrolment>({ method: "POST", url, body: { password } }).then((got) => {
              setEnrolment(got);
              return true;
            }, fault);
          }}
        >
          {hasPassword ? <PasswordInput label={t("passwordNow")} description={t("passwordSure")} autoComplete="current-password" value={password} onChange={(e) => setPassword(e.currentTarget.value)} data-autofocus /> : null}
        </Dialog>
      ) : null}
      {enrolment ? (
        <Dialog
          title={t("setUpFactor")}
          action={t("confirmCode")}
          ready={/^\d{6}$/.test(code.trim())}
          onClose={() => setEnrolment(undefined)}
          onSubmit={() =>
            send<{ recoveryCodes: string[] }>({ method: "POST", url: `${url}/confirm`, body: { code: code.trim() } }).then((got) => {
              setCodes(got.recoveryCodes);
              void queries.invalidateQueries({ queryKey: ["security"] });
              void queries.invalidateQueries({ queryKey: ["session"] });
              return true;
            }, fault)
          }
        >
          <p style={{ margin: 0 }}>{t("scan")}</p>
          <img className={css.qr} src={enrolment.qr} alt={t("qr")} />
          <TextInput readOnly label={t("typeSecret")} value={enrolment.secret} styles={{ input: { fontFamily: "var(--font-mono)" } }} onFocus={(e) => e.currentTarget.select()} />
          <TextInput label={t("sixDigits")} inputMode="numeric" autoComplete="one-time-code" maxLength={6} value={code} onChange={(e) => setCode(e.currentTarget.value)} data-autofocus />
        </Dialog>
      ) : null}
    </>
  );
}

/** "Firefox on Windows" is enough to know a device again; the whole stands on hover. */
function deviceOf(agent: string): string {
  const browser = /Edg\//.test(agent) ? "Edge" : /Firefox\//.test(agent) ? "Firefox" : /Chrome\//.test(agent) ? "Chrome" : /Safari\//.test(agent) ? "Safari" : "";
  const system = /Windows/.test(agent) ? "Windows" : /Android/.test(agent) ? "Android" : /iPhone|iPad/.test(agent) ? "iOS" : /Mac OS/.test(agent) ? "macOS" : /Linux/.test(agent) ? "Linux" : "";
  return [browser, system].filter(Boolean).join(", ") || visible(agent.slice(0, 60)) || "–";
}

function Sessions() {
  const t = useText("settings");
  const forms = useText("forms");
  const act = useAct();
  const q = useQuery({ queryKey: ["sessions"], queryFn: ({ signal }) => send<{ sessions: OpenSession[] }>({ method: "GET", url: "/api/v1/session/sessions" }, signal) });
  if (q.isPending) return <Loading rows={2} />;
  if (q.error) return <Failed error={q.error} />;
  const all = q.data.sessions;
  const end = (url: string) => void act({ call: { method: "DELETE", url }, done: t("sessionsEnded"), renews: [["sessions"]] });
  return (
    <>
      <Rows
        label={t("sessions")}
        head={[t("device"), t("from"), forms("lastUsed"), t("began"), ""]}
        rows={all.map((s) => ({
          key: s.id,
          cells: [
            <span title={visible(s.agent)}>{deviceOf(s.agent)}</span>,
            <span className="mono" style={{ whiteSpace: "nowrap" }}>{visible(s.address)}</span>,
            <Time at={s.lastUsedAt} className="dim" />,
            <Time at={s.createdAt} className="dim" />,
            s.current ? (
              <Pill dot="good">{t("thisOne")}</Pill>
            ) : (
              <Button size="compact-xs" variant="subtle" color="gray" onClick={() => end(`/api/v1/session/sessions/${s.id}`)}>
                {t("end")}
              </Button>
            ),
          ],
        }))}
      />
      {all.length > 1 ? (
        <div className={css.buttons}>
          <Button size="xs" variant="default" onClick={() => void confirm({ title: t("endOthers"), text: t("endOthersWhy"), action: t("endOthers") }).then((yes) => yes && end("/api/v1/session/sessions"))}>
            {t("endOthers")}
          </Button>
        </div>
      ) : null}
    </>
  );
}

function SignInPolicy() {
  const t = useText("settings");
  const access = useText("access");
  const forms = useText("forms");
  const act = useAct();
  const url = "/api/v1/settings/sign-in";
  const q = useQuery({ queryKey: ["signInPolicy"], queryFn: ({ signal }) => send<Policy>({ method: "GET", url }, signal) });
  if (q.isPending) return <Loading rows={2} />;
  if (q.error) return <Failed error={q.error} />;
  const set = (change: Partial<Policy>) => {
    const next = { ...q.data, ...change };
    const body = ({ secondFactorRequired, idleMinutes, longestHours, passwordHistory, passwordKinds, lockAttempts, lockMinutes }: Policy) => ({ secondFactorRequired, idleMinutes, longestHours, passwordHistory, passwordKinds, lockAttempts, lockMinutes });
    void act({ call: { method: "PUT", url, body: body(next) }, undo: { method: "PUT", url, body: body(q.data) }, done: forms("saved"), renews: [["signInPolicy"], ["security"]] });
  };
  const number = (key: "idleMinutes" | "longestHours" | "passwordHistory" | "lockAttempts" | "lockMinutes", label: string, min: number, max: number, why?: string) => (
    <NumberInput key={`${key}${q.data[key]}`} style={{ maxWidth: 320 }} label={label} description={why} min={min} max={max} defaultValue={q.data[key]} onBlur={(e) => e.currentTarget.value !== "" && Number(e.currentTarget.value) !== q.data[key] && set({ [key]: Number(e.currentTarget.value) })} />
  );
  return (
    <>
      <Switch checked={q.data.secondFactorRequired} label={t("factorForAll")} description={t("factorForAllWhy")} onChange={(e) => set({ secondFactorRequired: e.currentTarget.checked })} />
      {number("idleMinutes", t("idle"), 5, 1440)}
      {number("longestHours", t("longest"), 1, 720)}
      {number("passwordHistory", access("history"), 0, 24)}
      <Switch checked={q.data.passwordKinds} label={access("kinds")} description={access("kindsWhy")} onChange={(e) => set({ passwordKinds: e.currentTarget.checked })} />
      {number("lockAttempts", access("lockAttempts"), 3, 5)}
      {number("lockMinutes", access("lockMinutes"), 0, 60, access("lockMinutesWhy"))}
      <div className={css.buttons}>
        <Button size="xs" variant="default" onClick={() => set({ secondFactorRequired: true, idleMinutes: Math.min(15, q.data.idleMinutes), passwordHistory: Math.max(4, q.data.passwordHistory), passwordKinds: true, lockMinutes: Math.max(30, q.data.lockMinutes) })}>
          {access("pci")}
        </Button>
      </div>
    </>
  );
}
