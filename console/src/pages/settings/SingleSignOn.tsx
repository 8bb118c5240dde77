import { Button, Group, PasswordInput, Select, Switch, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useAct } from "~/api/act";
import type { Schema } from "~/api/client";
import { send } from "~/api/send";
import { useMay, useSession } from "~/api/session";
import { confirm } from "~/parts/Confirm";
import { copy } from "~/parts/copy";
import { Dialog, Once } from "~/parts/Dialog";
import { Facts, Rows } from "~/parts/Facts";
import { linesOf } from "~/parts/lines";
import { Pill } from "~/parts/Pill";
import { Failed, Loading } from "~/parts/States";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import type { Person } from "./people";
import { DefaultRole, RoleMap, type Mapping } from "./RoleMap";
import settings from "./settings.module.css";
import css from "./sso.module.css";

type Provider = Schema<"SSOProvider">;
type Settings = Schema<"SsoSettingsOutBody">;
type Provisioning = Schema<"ProvisioningBody">;
type Tested = Schema<"TestSSOOutBody">;

const url = "/api/v1/settings/sso";

/** Where people of the tenant sign in, and which directory says who they are. */
export default function SingleSignOn() {
  const t = useText("access");
  const people = useMay("users:read");
  const q = useQuery({ queryKey: ["sso"], queryFn: ({ signal }) => send<Settings>({ method: "GET", url }, signal) });
  if (q.isPending) return <Loading rows={4} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  return (
    <div className={settings.scroll}>
      <section className={settings.part}>
        <h2>{t("providers")}</h2>
        <Providers of={q.data} />
      </section>
      {q.data.providers.length > 0 ? (
        <section className={settings.part}>
          <h2>{t("only")}</h2>
          <Only of={q.data} />
        </section>
      ) : null}
      {people ? (
        <section className={settings.part}>
          <h2>{t("directory")}</h2>
          <Directory />
        </section>
      ) : null}
    </div>
  );
}

/** An address to carry somewhere else. */
function Copied({ label, why, value }: { label: string; why?: string; value: string }) {
  const parts = useText("parts");
  return (
    <div className={css.copy}>
      <TextInput readOnly label={label} description={why} value={value} onFocus={(e) => e.currentTarget.select()} />
      <Button variant="default" aria-label={`${parts("copy")}: ${label}`} onClick={() => void copy(value).then((ok) => ok && toast(parts("copied")))}>
        {parts("copy")}
      </Button>
    </div>
  );
}

function Providers({ of }: { of: Settings }) {
  const t = useText("access");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("settings:write");
  const act = useAct();
  const [edited, setEdited] = useState<Provider | "new">();
  const renews = [["sso"]];
  const remove = (p: Provider) =>
    void confirm({ title: forms("remove"), text: t("removeProviderWhy", { name: visible(p.name) }), action: forms("remove") }).then((yes) => {
      if (yes) void act({ call: { method: "DELETE", url: `${url}/providers/${p.id}` }, done: t("providerRemoved"), renews });
    });
  return (
    <>
      <p>{t("providersWhy")}</p>
      {of.providers.length > 0 ? (
        <Rows
          label={t("providers")}
          head={[forms("name"), t("issuer"), words("status"), ""]}
          rows={of.providers.map((p) => ({
            key: p.id,
            cells: [
              visible(p.name),
              <span className="mono">{visible(p.issuer)}</span>,
              <Pill dot={p.enabled ? "good" : "off"}>{p.enabled ? forms("enabled") : forms("disabled")}</Pill>,
              may ? (
                <Group gap={4} wrap="nowrap" justify="flex-end">
                  <Button size="compact-xs" variant="subtle" color="gray" aria-label={`${forms("change")} ${visible(p.name)}`} onClick={() => setEdited(p)}>
                    {forms("change")}
                  </Button>
                  <Button size="compact-xs" variant="subtle" color="gray" aria-label={`${forms("remove")} ${visible(p.name)}`} onClick={() => remove(p)}>
                    {forms("remove")}
                  </Button>
                </Group>
              ) : null,
            ],
          }))}
        />
      ) : null}
      {may ? (
        <div className={settings.buttons}>
          <Button size="xs" variant={of.providers.length > 0 ? "default" : "filled"} onClick={() => setEdited("new")}>
            {t("newProvider")}
          </Button>
        </div>
      ) : null}
      {edited ? <Edit provider={edited === "new" ? undefined : edited} base={of.redirectBase} onClose={() => setEdited(undefined)} /> : null}
    </>
  );
}

const slugOf = (name: string) =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 40);

function Edit({ provider, base, onClose }: { provider: Provider | undefined; base: string; onClose: () => void }) {
  const t = useText("access");
  const forms = useText("forms");
  const act = useAct();
  const installation = useMay("provider:read"); // the other tenants' names are not for everybody
  const [name, setName] = useState(provider?.name ?? "");
  const [own, setOwn] = useState(provider?.slug);
  const [issuer, setIssuer] = useState(provider?.issuer ?? "");
  const [clientId, setClientId] = useState(provider?.clientId ?? "");
  const [secret, setSecret] = useState("");
  const [scopes, setScopes] = useState((provider?.scopes ?? ["openid", "profile", "email"]).join(" "));
  const [claim, setClaim] = useState(provider?.roleClaim ?? "groups");
  const [map, setMap] = useState<Mapping[]>(provider?.roles ?? []);
  const [otherwise, setOtherwise] = useState<string>(provider?.defaultRole ?? "");
  const [domains, setDomains] = useState((provider?.domains ?? []).join("\n"));
  const [link, setLink] = useState(provider?.linkClaim ?? "sub");
  const [creates, setCreates] = useState(provider?.createUsers ?? true);
  const [factor, setFactor] = useState(provider?.secondFactorAtProvider ?? false);
  const [listed, setListed] = useState(installation && (provider?.listed ?? true));
  const [enabled, setEnabled] = useState(provider?.enabled ?? true);
  const slug = own ?? slugOf(name);
  const body = {
    name: name.trim(),
    slug,
    issuer: issuer.trim(),
    clientId: clientId.trim(),
    ...(secret === "" ? {} : { clientSecret: secret }),
    scopes: scopes.split(/\s+/).filter(Boolean),
    roleClaim: claim.trim(),
    roles: claim.trim() === "" ? [] : map,
    defaultRole: otherwise,
    domains: linesOf(domains),
    linkClaim: link.trim() || "sub",
    createUsers: creates,
    secondFactorAtProvider: factor,
    listed,
    enabled,
  };
  return (
    <Dialog
      wide
      title={provider ? visible(provider.name) : t("newProvider")}
      action={provider ? forms("change") : forms("create")}
      ready={body.name !== "" && slug !== "" && body.issuer !== "" && body.clientId !== "" && body.roles.every((m) => m.value.trim() !== "")}
      onClose={onClose}
      onSubmit={async () => (await act({ call: provider ? { method: "PATCH", url: `${url}/providers/${provider.id}`, body } : { method: "POST", url: `${url}/providers`, body }, done: forms("saved"), renews: [["sso"]] })) !== undefined}
    >
      <Group grow align="flex-start">
        <TextInput label={forms("name")} description={t("nameWhy")} required maxLength={60} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
        <TextInput label={t("slug")} description={t("slugWhy")} required maxLength={40} value={slug} onChange={(e) => setOwn(e.currentTarget.value)} />
      </Group>
      <Copied label={t("redirect")} why={t("redirectWhy")} value={base + slug} />
      <TextInput label={t("issuer")} description={t("issuerWhy")} placeholder="https://login.example.com/realms/acme" type="url" required value={issuer} onChange={(e) => setIssuer(e.currentTarget.value)} />
      <Test issuer={body.issuer} scopes={body.scopes} />
      <Group grow align="flex-start">
        <TextInput label={t("clientId")} required autoComplete="off" value={clientId} onChange={(e) => setClientId(e.currentTarget.value)} />
        <PasswordInput label={t("clientSecret")} autoComplete="new-password" placeholder={provider?.hasSecret ? t("secretKept") : ""} value={secret} onChange={(e) => setSecret(e.currentTarget.value)} />
      </Group>
      <TextInput label={t("scopes")} value={scopes} onChange={(e) => setScopes(e.currentTarget.value)} />
      <TextInput label={t("claim")} description={t("claimWhy")} placeholder="groups" value={claim} onChange={(e) => setClaim(e.currentTarget.value)} />
      {claim.trim() === "" ? null : <RoleMap of={t("claimValue")} value={map} onChange={setMap} />}
      <DefaultRole value={otherwise} none={t("refuse")} onChange={setOtherwise} />
      <Textarea label={`${t("domains")} (${forms("optional")})`} description={t("domainsWhy")} autosize minRows={1} maxRows={5} value={domains} onChange={(e) => setDomains(e.currentTarget.value)} />
      <TextInput label={t("linkClaim")} description={t("linkClaimWhy")} value={link} onChange={(e) => setLink(e.currentTarget.value)} />
      <Switch checked={creates} label={t("creates")} description={t("createsWhy")} onChange={(e) => setCreates(e.currentTarget.checked)} />
      <Switch checked={factor} label={t("factorThere")} description={t("factorThereWhy")} onChange={(e) => setFactor(e.currentTarget.checked)} />
      {installation ? <Switch checked={listed} label={t("listed")} description={t("listedWhy")} onChange={(e) => setListed(e.currentTarget.checked)} /> : null}
      <Switch checked={enabled} label={forms("enabled")} onChange={(e) => setEnabled(e.currentTarget.checked)} />
    </Dialog>
  );
}

function Test({ issuer, scopes }: { issuer: string; scopes: string[] }) {
  const t = useText("access");
  const forms = useText("forms");
  const parts = useText("parts");
  const [busy, setBusy] = useState(false);
  const [got, setGot] = useState<Tested & { of: string }>();
  return (
    <>
      <div className={settings.buttons}>
        <Button
          size="xs"
          variant="default"
          disabled={issuer === ""}
          loading={busy}
          onClick={() => {
            setBusy(true);
            void send<Tested>({ method: "POST", url: `${url}/test`, body: { issuer, scopes } })
              .then((x) => setGot({ ...x, of: issuer }))
              .catch((error: unknown) => toastFault(parts("actFailed"), error))
              .finally(() => setBusy(false));
          }}
        >
          {forms("test")}
        </Button>
      </div>
      <div aria-live="polite">
        {got?.of === issuer ? (
          <ul className={css.checks}>
            {got.checks.map((c) => (
              <li key={c.name}>
                <Pill dot={c.ok ? "good" : "bad"}>{t(`check.${c.name}`)}</Pill> <span className="dim">{visible(c.message)}</span>
              </li>
            ))}
          </ul>
        ) : null}
      </div>
    </>
  );
}

function Only({ of }: { of: Settings }) {
  const t = useText("access");
  const forms = useText("forms");
  const may = useMay("settings:write");
  const { user } = useSession();
  const act = useAct();
  const admins = useQuery({ queryKey: ["users", "admins"], queryFn: ({ signal }) => send<{ content: Person[] }>({ method: "GET", url: "/api/v1/users?role=Admin&status=active&size=100" }, signal) });
  const [glass, setGlass] = useState(of.breakGlassUserId || user.id);
  const set = (only: boolean, breakGlassUserId: string) =>
    void act({ call: { method: "PUT", url, body: { only, ...(only ? { breakGlassUserId } : {}) } }, undo: { method: "PUT", url, body: { only: of.only, ...(of.only ? { breakGlassUserId: of.breakGlassUserId } : {}) } }, done: forms("saved"), renews: [["sso"]] });
  return (
    <>
      <p>{t("onlyWhy")}</p>
      <Select
        style={{ maxWidth: 320 }}
        label={t("breakGlass")}
        description={t("breakGlassWhy")}
        disabled={!may}
        allowDeselect={false}
        value={glass}
        data={(admins.data?.content ?? []).map((p) => ({ value: p.id, label: `${visible(p.name)} · ${visible(p.email)}` }))}
        onChange={(v) => {
          if (v === null) return;
          setGlass(v);
          if (of.only) set(true, v);
        }}
      />
      <Switch checked={of.only} disabled={!may} label={t("only")} onChange={(e) => (e.currentTarget.checked ? void confirm({ title: t("only"), text: t("onlyWhy"), action: t("onlyOn") }).then((yes) => yes && set(true, glass)) : set(false, glass))} />
    </>
  );
}

function Directory() {
  const t = useText("access");
  const q = useQuery({ queryKey: ["scim"], queryFn: ({ signal }) => send<Provisioning>({ method: "GET", url: "/api/v1/settings/scim" }, signal) });
  if (q.isPending) return <Loading rows={3} />;
  if (q.error) return <Failed error={q.error} retry={() => void q.refetch()} />;
  return (
    <>
      <p>{t("directoryWhy")}</p>
      <Copied label={t("baseURL")} value={q.data.url} />
      <Token of={q.data} />
      <GroupRoles key={JSON.stringify([q.data.roles, q.data.defaultRole])} of={q.data} />
    </>
  );
}

function Token({ of }: { of: Provisioning }) {
  const t = useText("access");
  const forms = useText("forms");
  const words = useText("words");
  const may = useMay("users:write");
  const act = useAct();
  const [made, setMade] = useState<{ token: string; url: string }>();
  const renews = [["scim"]];
  const make = () => void act<{ token: string; url: string }>({ call: { method: "POST", url: "/api/v1/settings/scim/token" }, done: t("tokenMade"), renews }).then((got) => got && setMade(got));
  return (
    <>
      {of.hasToken ? (
        <Facts
          of={[
            [t("token"), <span className="mono">{of.tokenPrefix}…</span>],
            [words("created"), of.tokenMadeAt ? <><Time at={of.tokenMadeAt} /> · {visible(of.tokenMadeBy)}</> : null],
            [forms("lastUsed"), of.lastUsedAt ? <Time at={of.lastUsedAt} /> : forms("never")],
          ]}
        />
      ) : (
        <p className="dim">{t("noToken")}</p>
      )}
      {may ? (
        <div className={settings.buttons}>
          <Button size="xs" variant="default" onClick={() => (of.hasToken ? void confirm({ title: t("newToken"), text: t("newTokenWhy"), action: t("newToken") }).then((yes) => yes && make()) : make())}>
            {of.hasToken ? t("newToken") : t("makeToken")}
          </Button>
          {of.hasToken ? (
            <Button
              size="xs"
              variant="default"
              onClick={() => void confirm({ title: t("endToken"), text: t("endTokenWhy"), action: t("endToken") }).then((yes) => yes && void act({ call: { method: "DELETE", url: "/api/v1/settings/scim/token" }, done: t("tokenEnded"), renews }))}
            >
              {t("endToken")}
            </Button>
          ) : null}
        </div>
      ) : null}
      {made ? (
        <Once title={t("token")} why={t("tokenOnce")} value={made.token} onClose={() => setMade(undefined)}>
          <Copied label={t("baseURL")} value={made.url} />
        </Once>
      ) : null}
    </>
  );
}

function GroupRoles({ of }: { of: Provisioning }) {
  const t = useText("access");
  const forms = useText("forms");
  const may = useMay("users:write");
  const act = useAct();
  const [map, setMap] = useState<Mapping[]>(of.roles);
  const [otherwise, setOtherwise] = useState(of.defaultRole);
  const same = JSON.stringify([map, otherwise]) === JSON.stringify([of.roles, of.defaultRole]);
  return (
    <>
      <RoleMap of={t("groupName")} value={map} onChange={setMap} />
      <DefaultRole value={otherwise} none={t("noAccess")} onChange={setOtherwise} />
      {may ? (
        <div className={settings.buttons}>
          <Button
            size="xs"
            disabled={same || map.some((m) => m.value.trim() === "")}
            onClick={() =>
              void act({
                call: { method: "PUT", url: "/api/v1/settings/scim", body: { defaultRole: otherwise, roles: map } },
                undo: { method: "PUT", url: "/api/v1/settings/scim", body: { defaultRole: of.defaultRole, roles: of.roles } },
                done: forms("saved"),
                renews: [["scim"], ["users"]],
              })
            }
          >
            {t("saveRoles")}
          </Button>
        </div>
      ) : null}
    </>
  );
}
