import { NumberInput, Select, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";

import type { Schema } from "~/api/client";
import { queries } from "~/api/queries";
import { send } from "~/api/send";
import { Dialog } from "~/parts/Dialog";
import { Rows } from "~/parts/Facts";
import { severities } from "~/parts/Severity";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

type Outcome = Schema<"BulkIndicatorsOutBody">;

/** One or many at once; what was not understood stays in the box, with why. */
export function Add({ onClose }: { onClose: () => void }) {
  const t = useText("intelligence");
  const forms = useText("forms");
  const words = useText("words");
  const parts = useText("parts");
  const [text, setText] = useState("");
  const [severity, setSeverity] = useState<string>("high");
  const [confidence, setConfidence] = useState(75);
  const [days, setDays] = useState<number>();
  const [tags, setTags] = useState<string[]>([]);
  const [description, setDescription] = useState("");
  const [failed, setFailed] = useState<Outcome["results"]>([]);
  // Addresses of pages may hold commas: only lines part values.
  const values = text.split("\n").map((s) => s.trim()).filter((s) => s !== "");
  return (
    <Dialog
      title={t("add")}
      action={t("addN", { n: values.length })}
      ready={values.length > 0 && values.length <= 1000}
      onClose={onClose}
      onSubmit={async () => {
        const validUntil = days === undefined ? undefined : new Date(Date.now() + days * 86_400_000).toISOString();
        const indicators = values.map((value) => ({ value, severity, confidence, tags, description: description.trim() || undefined, validUntil }));
        let got: Outcome;
        try {
          got = await send<Outcome>({ method: "POST", url: "/api/v1/threat-intel-iocs/bulk", body: { indicators } });
        } catch (error) {
          toastFault(parts("actFailed"), error);
          return false;
        }
        toast(t("outcome", { created: got.created, updated: got.updated + got.unchanged, failed: got.failed }));
        void queries.invalidateQueries({ queryKey: ["indicators"] });
        const wrong = got.results.filter((r) => r.status === "failed");
        setFailed(wrong);
        setText(wrong.map((r) => r.value).join("\n"));
        return wrong.length === 0;
      }}
    >
      <Textarea label={t("values")} description={t("valuesWhy")} required autosize minRows={4} maxRows={12} styles={{ input: { fontFamily: "var(--font-mono)" } }} value={text} onChange={(e) => setText(e.currentTarget.value)} data-autofocus />
      {failed.length > 0 ? (
        <div role="alert">
          <Rows label={t("notTaken")} head={[t("value"), t("notTaken")]} rows={failed.map((r, i) => ({ key: String(i), cells: [visible(r.value), visible(r.message)] }))} />
        </div>
      ) : null}
      <Select label={words("severity")} allowDeselect={false} value={severity} data={severities.map((s) => ({ value: s, label: words(`severity.${s}`) }))} onChange={(v) => v !== null && setSeverity(v)} />
      <NumberInput label={t("confidence")} min={0} max={100} value={confidence} onChange={(v) => v !== "" && setConfidence(Number(v))} />
      <NumberInput label={t("validDays")} placeholder={forms("always")} min={1} max={3650} value={days ?? ""} onChange={(v) => setDays(v === "" ? undefined : Number(v))} />
      <TagsInput label={t("tags")} value={tags} onChange={setTags} />
      <TextInput label={t("description")} value={description} onChange={(e) => setDescription(e.currentTarget.value)} />
    </Dialog>
  );
}
