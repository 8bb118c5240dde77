import { Select, TagsInput, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";

import { useAct } from "~/api/act";
import type { Schema } from "~/api/client";
import { Dialog } from "~/parts/Dialog";
import { useText } from "~/text/text";

import { criticalities, types } from "./Assets";

/** What people know of a machine and logs do not. */
export function Edit({ of: a, onClose }: { of: Schema<"AssetDetail">; onClose: () => void }) {
  const t = useText("assets");
  const forms = useText("forms");
  const parts = useText("parts");
  const act = useAct();
  const before = { name: a.name, type: a.type as string, criticality: a.criticality as string, owner: a.owner, os: a.os, tags: a.tags, notes: a.notes };
  const [now, setNow] = useState(before);
  const set = (change: Partial<typeof before>) => setNow((n) => ({ ...n, ...change }));
  const changed = (Object.keys(before) as (keyof typeof before)[]).filter((k) => JSON.stringify(before[k]) !== JSON.stringify(now[k]));
  const only = (from: typeof before) => Object.fromEntries(changed.map((k) => [k, from[k]]));
  const url = `/api/v1/assets/${a.id}`;
  return (
    <Dialog
      title={forms("change")}
      action={parts("save")}
      ready={changed.length > 0 && now.name.trim() !== ""}
      onClose={onClose}
      onSubmit={async () => (await act({ call: { method: "PATCH", url, body: only(now) }, undo: { method: "PATCH", url, body: only(before) }, done: forms("saved"), renews: [["assets"]] })) !== undefined}
    >
      <TextInput label={forms("name")} required maxLength={255} value={now.name} onChange={(e) => set({ name: e.currentTarget.value })} data-autofocus />
      <Select label={t("type")} allowDeselect={false} value={now.type} data={types.map((x) => ({ value: x, label: t(`type.${x}`) }))} onChange={(v) => v !== null && set({ type: v })} />
      <Select label={t("criticality")} allowDeselect={false} value={now.criticality} data={criticalities.map((c) => ({ value: c, label: t(`criticality.${c}`) }))} onChange={(v) => v !== null && set({ criticality: v })} />
      <TextInput label={t("owner")} value={now.owner} onChange={(e) => set({ owner: e.currentTarget.value })} />
      <TextInput label={t("os")} value={now.os} onChange={(e) => set({ os: e.currentTarget.value })} />
      <TagsInput label={t("tags")} value={now.tags} onChange={(tags) => set({ tags })} />
      <Textarea label={t("notes")} autosize minRows={2} maxRows={8} value={now.notes} onChange={(e) => set({ notes: e.currentTarget.value })} />
    </Dialog>
  );
}
