import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useRouter } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { Problem } from "~/api/problem";
import { signIn } from "~/api/session";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { Door } from "./Door";
import css from "./signin.module.css";

export default function SignIn() {
  const t = useText("signin");
  const router = useRouter();
  const url = useUrl();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asksCode, setAsksCode] = useState(false);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setFault("");
    try {
      await signIn({ email, password, ...(asksCode ? { code: code.replaceAll(" ", "") } : {}) });
      const to = url.get("to");
      // Only a path of this server: an address from outside could lead anywhere.
      await router.invalidate();
      router.history.replace(to !== undefined && /^\/(?![/\\])/.test(to) ? to : "/");
    } catch (error) {
      if (error instanceof Problem && [error.code, error.title].includes("codeRequired") && !asksCode) setAsksCode(true);
      else if (error instanceof Problem && error.status === 401) setFault(asksCode ? t("wrongCode") : t("wrong"));
      else if (error instanceof Problem && error.status === 429) setFault(t("tooOften", { n: Math.max(1, error.retryAfter) }));
      else if (error instanceof Problem && error.status === 0) setFault(t("unreachable"));
      else setFault(error instanceof Problem ? `${error.title}: ${error.remedy}` : String(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Door title={t("signIn")}>
      <form className={css.form} onSubmit={(e) => void submit(e)}>
        <TextInput label={t("email")} name="email" type="email" autoComplete="username" required autoFocus value={email} onChange={(e) => setEmail(e.currentTarget.value)} readOnly={asksCode} />
        <PasswordInput label={t("password")} name="password" autoComplete="current-password" required value={password} onChange={(e) => setPassword(e.currentTarget.value)} readOnly={asksCode} visibilityToggleButtonProps={{ "aria-label": t("showPassword") }} />
        {asksCode ? (
          <TextInput label={t("code")} description={t("codeWhy")} name="code" inputMode="numeric" autoComplete="one-time-code" required autoFocus value={code} onChange={(e) => setCode(e.currentTarget.value)} />
        ) : null}
        {fault === "" ? null : (
          <div role="alert" className={css.fault}>
            {fault}
          </div>
        )}
        <Button type="submit" loading={busy} fullWidth>
          {t("signIn")}
        </Button>
      </form>
    </Door>
  );
}
