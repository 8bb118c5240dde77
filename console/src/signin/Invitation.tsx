import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";

import { Problem } from "~/api/problem";
import { send } from "~/api/send";
import { Empty, Failed, Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

import { Door } from "./Door";
import css from "./signin.module.css";

type Link = { kind: "invite" | "reset"; email: string; name: string; tenant: string; known: boolean };

/** Where an invitation, or a link for another password, leads: its secret stands behind the #. */
export default function Invitation() {
  const t = useText("invitation");
  const router = useRouter();
  const [token] = useState(() => decodeURIComponent(window.location.hash.slice(1)));
  const [password, setPassword] = useState("");
  const [name, setName] = useState<string>();
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const q = useQuery({ queryKey: ["link", token], enabled: token !== "", retry: false, staleTime: Infinity, queryFn: ({ signal }) => send<Link>({ method: "POST", url: "/api/v1/session/link", body: { token } }, signal) });
  const link = q.data;

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setFault("");
    try {
      await send({ method: "POST", url: "/api/v1/session/link/follow", body: { token, password, ...(name?.trim() ? { name: name.trim() } : {}) } });
      void router.navigate({ to: "/signin" as never, replace: true });
    } catch (error) {
      setFault(error instanceof Problem ? `${error.title}: ${error.remedy}` : String(error));
    } finally {
      setBusy(false);
    }
  }

  const title = link?.kind === "reset" ? t("reset") : t("title");
  if (token === "" || (q.error instanceof Problem && [401, 404, 410].includes(q.error.status)))
    return (
      <Door title={title}>
        <Empty title={t("spent")}>{t("spentWhy")}</Empty>
      </Door>
    );
  if (q.error) return <Door title={title}><Failed error={q.error} /></Door>;
  if (link === undefined) return <Door title={title}><Loading rows={3} /></Door>;
  return (
    <Door title={title}>
      <p className="dim">{link.kind === "invite" ? t("invites", { tenant: visible(link.tenant), email: visible(link.email) }) : t("resets", { email: visible(link.email) })}</p>
      <form className={css.form} onSubmit={(e) => void submit(e)}>
        {link.kind === "invite" && !link.known ? <TextInput label={t("name")} name="name" autoComplete="name" value={name ?? link.name} onChange={(e) => setName(e.currentTarget.value)} /> : null}
        <PasswordInput label={link.kind === "invite" && link.known ? t("yourPassword") : t("newPassword")} description={link.kind === "invite" && link.known ? undefined : t("rule")} name="password" autoComplete={link.kind === "invite" && link.known ? "current-password" : "new-password"} required value={password} onChange={(e) => setPassword(e.currentTarget.value)} visibilityToggleButtonProps={{ "aria-label": t("show") }} />
        {fault === "" ? null : (
          <div role="alert" className={css.fault}>
            {fault}
          </div>
        )}
        <Button type="submit" loading={busy} fullWidth>
          {link.kind === "invite" ? t("accept") : t("set")}
        </Button>
      </form>
    </Door>
  );
}
