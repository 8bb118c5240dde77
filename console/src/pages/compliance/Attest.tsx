import { Checkbox, Select, Stack, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";

import { useAct } from "~/api/act";
import { useSession } from "~/api/session";
import { Dialog } from "~/parts/Dialog";
import { useText } from "~/text/text";

import type { Detail } from "./data";

const claims = ["compliant", "partial", "nonCompliant", "notApplicable"] as const;
const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

/** A person's word on how a control stands, and what it rests on. */
export function Attest({ control: c, onClose }: { control: Detail; onClose: () => void }) {
  const t = useText("compliance");
  const act = useAct();
  const [status, setStatus] = useState<(typeof claims)[number]>("compliant");
  const [statement, setStatement] = useState("");
  const [until, setUntil] = useState(day(365));
  return (
    <Dialog
      wide
      title={`${t("attest")} ${c.id}`}
      action={t("attest")}
      ready={statement.trim() !== "" && until !== ""}
      onClose={onClose}
      onSubmit={async () =>
        (await act({
          call: { method: "POST", url: "/api/v1/compliance/attestations", body: { framework: c.framework, control: c.id, status, statement: statement.trim(), evidence: c.evidence.slice(0, 50), expiresAt: new Date(`${until}T00:00:00Z`).toISOString() } },
          done: t("attestedNow"),
          renews: [["compliance"]],
        })) !== undefined
      }
    >
      <p style={{ margin: 0 }} className="dim">
        {t("attestWhy")}
      </p>
      <Select label={t("claim")} value={status} onChange={(v) => v && setStatus(v as typeof status)} data={claims.map((s) => ({ value: s, label: t(`status.${s}`) }))} />
      <Textarea label={status === "notApplicable" ? t("justification") : t("statement")} description={t("statementWhy", { n: c.evidence.length })} required autosize minRows={3} maxRows={10} maxLength={10_000} value={statement} onChange={(e) => setStatement(e.currentTarget.value)} data-autofocus />
      <TextInput type="date" label={t("until")} value={until} min={day(1)} onChange={(e) => setUntil(e.currentTarget.value)} />
    </Dialog>
  );
}

/** Accepts for a time that checks do not pass, with who answers for it and what is done instead. */
export function Except({ control: c, onClose }: { control: Detail; onClose: () => void }) {
  const t = useText("compliance");
  const act = useAct();
  const { user } = useSession();
  const failing = c.checks.filter((k) => k.result !== "pass").map((k) => k.id);
  const [checks, setChecks] = useState<string[]>(failing);
  const [owner, setOwner] = useState(user.email);
  const [reason, setReason] = useState("");
  const [instead, setInstead] = useState("");
  const [until, setUntil] = useState(day(90));
  return (
    <Dialog
      wide
      title={`${t("except")} ${c.id}`}
      action={t("except")}
      ready={checks.length > 0 && owner.trim() !== "" && reason.trim() !== "" && instead.trim() !== "" && until !== ""}
      onClose={onClose}
      onSubmit={async () =>
        (await act({
          call: { method: "POST", url: "/api/v1/compliance/exceptions", body: { framework: c.framework, control: c.id, checks, owner: owner.trim(), reason: reason.trim(), compensation: instead.trim(), endsAt: new Date(`${until}T00:00:00Z`).toISOString() } },
          done: t("exceptedNow"),
          renews: [["compliance"]],
        })) !== undefined
      }
    >
      <p style={{ margin: 0 }} className="dim">
        {t("exceptWhy")}
      </p>
      <Checkbox.Group label={t("checks")} value={checks} onChange={setChecks}>
        <Stack gap={6} mt={6}>
          {c.checks.map((k) => (
            <Checkbox key={k.variant} value={k.id} label={`${k.title}: ${t(`result.${k.result}`)}`} />
          ))}
        </Stack>
      </Checkbox.Group>
      <TextInput label={t("owner")} required value={owner} onChange={(e) => setOwner(e.currentTarget.value)} />
      <Textarea label={t("why")} required autosize minRows={2} maxRows={6} value={reason} onChange={(e) => setReason(e.currentTarget.value)} data-autofocus />
      <Textarea label={t("compensation")} required autosize minRows={2} maxRows={6} value={instead} onChange={(e) => setInstead(e.currentTarget.value)} />
      <TextInput type="date" label={t("until")} value={until} min={day(1)} max={day(365)} onChange={(e) => setUntil(e.currentTarget.value)} />
    </Dialog>
  );
}
