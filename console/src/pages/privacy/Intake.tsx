import { Group, Select, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";

import { useAct } from "~/api/act";
import { Dialog } from "~/parts/Dialog";
import { useText } from "~/text/text";
import { useUrl } from "~/url/url";

import { Identifiers, type Identifier } from "./Identifiers";
import { kinds, laws } from "./Privacy";

/** Takes a request in; the term runs from the day when it was received. */
export function Intake({ onClose }: { onClose: () => void }) {
  const t = useText("privacy");
  const act = useAct();
  const url = useUrl();
  const [kind, setKind] = useState<(typeof kinds)[number]>("access");
  const [law, setLaw] = useState<string>("");
  const [name, setName] = useState("");
  const [ids, setIds] = useState<Identifier[]>([{ type: "email", value: "" }]);
  const [on, setOn] = useState(new Date().toISOString().slice(0, 10));
  const [channel, setChannel] = useState("");
  const [note, setNote] = useState("");
  const filled = ids.filter((i) => i.value.trim() !== "").map((i) => ({ ...i, value: i.value.trim() }));
  return (
    <Dialog
      wide
      title={t("new")}
      action={t("take")}
      ready={name.trim() !== "" && filled.length > 0}
      onClose={onClose}
      onSubmit={async () => {
        const body = { kind, name: name.trim(), identifiers: filled, receivedOn: on, ...(law ? { law } : {}), ...(channel.trim() ? { channel: channel.trim() } : {}), ...(note.trim() ? { note: note.trim() } : {}) };
        const got = await act<{ id: string }>({ call: { method: "POST", url: "/api/v1/dsr", body }, done: t("taken"), renews: [["dsr"]] });
        if (got) url.set({ open: got.id });
        return got !== undefined;
      }}
    >
      <Group grow>
        <Select label={t("kind")} value={kind} onChange={(v) => v && setKind(v as typeof kind)} data={kinds.map((k) => ({ value: k, label: t(`kind.${k}`) }))} />
        <Select label={t("law")} clearable placeholder={t("asSet")} value={law || null} onChange={(v) => setLaw(v ?? "")} data={[...laws]} />
      </Group>
      <TextInput label={t("person")} required maxLength={200} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
      <Identifiers value={ids} onChange={setIds} />
      <Group grow>
        <TextInput type="date" label={t("received")} value={on} onChange={(e) => setOn(e.currentTarget.value)} />
        <TextInput label={t("channel")} placeholder={t("channelSuch")} value={channel} onChange={(e) => setChannel(e.currentTarget.value)} />
      </Group>
      <Textarea label={t("note")} autosize minRows={2} maxRows={6} value={note} onChange={(e) => setNote(e.currentTarget.value)} />
    </Dialog>
  );
}
