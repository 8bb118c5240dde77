import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import type { Schema } from "~/api/client";
import { queries } from "~/api/queries";
import { send } from "~/api/send";
import { confirm } from "~/parts/Confirm";
import { Dialog, Once } from "~/parts/Dialog";
import { Rows } from "~/parts/Facts";
import { Failed, Loading } from "~/parts/States";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { makePasskey, passkeysWork, turnedAway } from "~/signin/passkey";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./settings.module.css";

type Passkey = Schema<"PasskeyItem">;
const url = "/api/v1/session/passkeys";
const renews = [["passkeys"], ["security"], ["session"]];

/** Keys in the person's authenticators: each signs in by itself and is a second factor. */
export function Passkeys({ hasPassword }: { hasPassword: boolean }) {
  const t = useText("access");
  const forms = useText("forms");
  const words = useText("words");
  const act = useAct();
  const [adding, setAdding] = useState(false);
  const [codes, setCodes] = useState<string[]>();
  const q = useQuery({ queryKey: ["passkeys"], queryFn: ({ signal }) => send<{ passkeys: Passkey[] }>({ method: "GET", url }, signal) });
  if (q.isPending) return <Loading rows={2} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  const all = q.data.passkeys;
  const remove = (p: Passkey) =>
    void confirm({ title: forms("remove"), text: t("removePasskeyWhy", { name: visible(p.name) }), action: forms("remove") }).then((yes) => {
      if (yes) void act({ call: { method: "DELETE", url: `${url}/${p.id}` }, done: t("passkeyRemoved"), renews });
    });
  return (
    <>
      <p>{t("passkeysWhy")}</p>
      {all.length > 0 ? (
        <Rows
          label={t("passkeys")}
          head={[forms("name"), words("created"), forms("lastUsed"), ""]}
          rows={all.map((p) => ({
            key: p.id,
            cells: [
              visible(p.name),
              <Time at={p.createdAt} className="dim" />,
              p.lastUsedAt ? <Time at={p.lastUsedAt} className="dim" /> : <span className="dim">{forms("never")}</span>,
              <Button size="compact-xs" variant="subtle" color="gray" aria-label={`${forms("remove")} ${visible(p.name)}`} onClick={() => remove(p)}>
                {forms("remove")}
              </Button>,
            ],
          }))}
        />
      ) : null}
      {passkeysWork() ? (
        <div className={css.buttons}>
          <Button size="xs" variant="default" onClick={() => setAdding(true)}>
            {t("addPasskey")}
          </Button>
        </div>
      ) : (
        <p className="dim">{t("noPasskeys")}</p>
      )}
      {adding ? <Add hasPassword={hasPassword} onClose={() => setAdding(false)} onCodes={setCodes} /> : null}
      {codes ? <Once title={t("codes")} why={t("codesWhy")} value={codes.join(" ")} onClose={() => setCodes(undefined)} /> : null}
    </>
  );
}

function Add({ hasPassword, onClose, onCodes }: { hasPassword: boolean; onClose: () => void; onCodes: (codes: string[]) => void }) {
  const t = useText("access");
  const settings = useText("settings");
  const forms = useText("forms");
  const parts = useText("parts");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  return (
    <Dialog
      title={t("addPasskey")}
      action={settings("next")}
      ready={name.trim() !== "" && (!hasPassword || password !== "")}
      onClose={onClose}
      onSubmit={async () => {
        try {
          const asked = await send<{ token: string; publicKey: unknown }>({ method: "POST", url: `${url}/start`, body: { password } });
          const credential = await makePasskey(asked.publicKey);
          const got = await send<Passkey & { recoveryCodes: string[] }>({ method: "POST", url, body: { token: asked.token, name: name.trim(), credential } });
          toast(t("passkeyAdded"));
          for (const queryKey of renews) void queries.invalidateQueries({ queryKey });
          if (got.recoveryCodes.length > 0) onCodes(got.recoveryCodes);
          return true;
        } catch (error) {
          if (!turnedAway(error)) toastFault(parts("actFailed"), error);
          return false;
        }
      }}
    >
      <p style={{ margin: 0 }}>{t("addPasskeyWhy")}</p>
      <TextInput label={forms("name")} description={t("passkeyNameWhy")} required maxLength={100} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      {hasPassword ? <PasswordInput label={settings("passwordNow")} description={settings("passwordSure")} autoComplete="current-password" value={password} onChange={(e) => setPassword(e.currentTarget.value)} /> : null}
    </Dialog>
  );
}
