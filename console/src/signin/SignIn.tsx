import { Button, PasswordInput, TextInput } from "@mantine/core";
import { IconFingerprint } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useEffect, useRef, useState, type FormEvent } from "react";

import { Problem } from "~/api/problem";
import { send } from "~/api/send";
import { passkeySignIn, signIn } from "~/api/session";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { Door } from "./Door";
import { codeOf, faultOf } from "./faults";
import { passkeysWork, showPasskey, turnedAway } from "./passkey";
import css from "./signin.module.css";

type Provider = { slug: string; name: string };

export default function SignIn() {
  const t = useText("signin");
  const router = useRouter();
  const url = useUrl();
  const [email, setEmail] = useState("");
  const [written, setWritten] = useState(""); // the address, once it is whole
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asks, setAsks] = useState<"code" | "recovery">();
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState<string>();
  const providers = useQuery<Provider[]>({
    queryKey: ["sign-in-providers", written],
    staleTime: 60_000,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => send<{ providers: Provider[] }>({ method: "POST", url: "/api/v1/session/sso/providers", body: written === "" ? {} : { email: written } }, signal).then((got) => got.providers),
  });

  // Only a path of this server: an address from outside could lead anywhere.
  const wanted = url.get("to");
  const to = wanted !== undefined && /^\/(?![/\\])/.test(wanted) ? wanted : "/";

  async function run(what: string, f: () => Promise<void>) {
    setBusy(what);
    setFault("");
    try {
      await f();
    } catch (error) {
      if (turnedAway(error)) return;
      const why = codeOf(error);
      if (why === "codeRequired" && asks === undefined) setAsks("code");
      else if (why === "passkeyRequired" && asks === undefined) setAsks("recovery");
      else if (why === "ssoRequired") {
        setWritten(email);
        setFault(t("ssoRequired"));
      } else if (error instanceof Problem && error.status === 401 && !why.startsWith("sso")) setFault(what === "passkey" ? t("wrongPasskey") : asks ? t("wrongCode") : t("wrong"));
      else setFault(faultOf(t, error));
    } finally {
      setBusy(undefined);
    }
  }

  async function goOn() {
    await router.invalidate();
    router.history.replace(to);
  }

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run("password", async () => {
      await signIn({ email, password, ...(asks ? { code: code.replaceAll(" ", "") } : {}) });
      await goOn();
    });
  };
  const byPasskey = () =>
    void run("passkey", async () => {
      await passkeySignIn(showPasskey);
      await goOn();
    });
  const goTo = (slug: string) =>
    void run(slug, async () => {
      const got = await send<{ url: string }>({ method: "POST", url: "/api/v1/session/sso/start", body: { slug, to } });
      window.location.assign(got.url);
    });

  // A tile in the provider's own portal leads here with its short name.
  const tile = url.get("sso");
  const gone = useRef(false);
  useEffect(() => {
    if (tile === undefined || gone.current) return;
    gone.current = true;
    goTo(tile);
  });

  const offered = providers.data ?? [];
  return (
    <Door title={t("signIn")}>
      <form className={css.form} onSubmit={submit}>
        <TextInput label={t("email")} name="email" type="email" autoComplete="username webauthn" required autoFocus value={email} onChange={(e) => setEmail(e.currentTarget.value)} onBlur={() => /^\S+@\S+\.\S+$/.test(email.trim()) && setWritten(email.trim())} readOnly={asks !== undefined} />
        <PasswordInput label={t("password")} name="password" autoComplete="current-password" required value={password} onChange={(e) => setPassword(e.currentTarget.value)} readOnly={asks !== undefined} visibilityToggleButtonProps={{ "aria-label": t("showPassword") }} />
        {asks === "code" ? (
          <TextInput label={t("code")} description={t("codeWhy")} name="code" inputMode="numeric" autoComplete="one-time-code" required autoFocus value={code} onChange={(e) => setCode(e.currentTarget.value)} />
        ) : asks === "recovery" ? (
          <TextInput label={t("recovery")} description={t("recoveryWhy")} name="code" autoComplete="off" required value={code} onChange={(e) => setCode(e.currentTarget.value)} />
        ) : null}
        {fault === "" ? null : (
          <div role="alert" className={css.fault}>
            {fault}
          </div>
        )}
        <Button type="submit" loading={busy === "password"} disabled={busy !== undefined && busy !== "password"} fullWidth>
          {t("signIn")}
        </Button>
      </form>
      {offered.length > 0 || passkeysWork() ? (
        <div className={css.others}>
          <p className={css.or}>{t("or")}</p>
          {passkeysWork() ? (
            <Button variant="default" fullWidth leftSection={<IconFingerprint size={16} aria-hidden />} loading={busy === "passkey"} onClick={byPasskey}>
              {t("passkey")}
            </Button>
          ) : null}
          {offered.map((p) => (
            <Button key={p.slug} variant="default" fullWidth loading={busy === p.slug} onClick={() => goTo(p.slug)}>
              {t("signInWith", { name: visible(p.name) })}
            </Button>
          ))}
        </div>
      ) : null}
    </Door>
  );
}
