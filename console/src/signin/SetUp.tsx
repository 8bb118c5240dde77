import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useRouter } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { Problem } from "~/api/problem";
import { setUp } from "~/api/session";
import { Empty } from "~/parts/States";
import { useText } from "~/text/text";

import { Door } from "./Door";
import css from "./signin.module.css";

/** The first start: the link's secret stands behind the #, which no server's log keeps. */
export default function SetUp() {
  const t = useText("signin");
  const router = useRouter();
  const [token] = useState(() => decodeURIComponent(window.location.hash.slice(1)));
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [tenantName, setTenantName] = useState("");
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setFault("");
    try {
      await setUp({ token, name, email, password, ...(tenantName === "" ? {} : { tenantName }) });
      await router.invalidate();
      router.history.replace("/");
    } catch (error) {
      if (error instanceof Problem && (error.status === 404 || error.status === 401 || error.status === 410)) setFault(t("linkSpent"));
      else setFault(error instanceof Problem ? `${error.title}: ${error.remedy}` : String(error));
    } finally {
      setBusy(false);
    }
  }

  if (token === "")
    return (
      <Door title={t("setUp")}>
        <Empty title={t("noToken")}>{t("noTokenWhy")}</Empty>
      </Door>
    );
  return (
    <Door title={t("setUp")}>
      <p className="dim">{t("setUpWhy")}</p>
      <form className={css.form} onSubmit={(e) => void submit(e)}>
        <TextInput label={t("name")} name="name" autoComplete="name" required autoFocus value={name} onChange={(e) => setName(e.currentTarget.value)} />
        <TextInput label={t("email")} name="email" type="email" autoComplete="username" required value={email} onChange={(e) => setEmail(e.currentTarget.value)} />
        <PasswordInput label={t("password")} description={t("passwordRule")} name="password" autoComplete="new-password" required minLength={12} value={password} onChange={(e) => setPassword(e.currentTarget.value)} visibilityToggleButtonProps={{ "aria-label": t("showPassword") }} />
        <TextInput label={t("tenantName")} description={t("tenantNameWhy")} name="tenant" value={tenantName} onChange={(e) => setTenantName(e.currentTarget.value)} />
        {fault === "" ? null : (
          <div role="alert" className={css.fault}>
            {fault}
          </div>
        )}
        <Button type="submit" loading={busy} fullWidth>
          {t("begin")}
        </Button>
      </form>
    </Door>
  );
}
