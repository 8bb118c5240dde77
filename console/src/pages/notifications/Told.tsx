import { MultiSelect } from "@mantine/core";

import { told } from "~/parts/events";
import { severities } from "~/parts/Severity";
import { useText } from "~/text/text";

/** Which events and severities: none chosen means all. */
export function Told({ events, onEvents, severity, onSeverity }: { events: string[]; onEvents: (v: string[]) => void; severity: string[]; onSeverity: (v: string[]) => void }) {
  const forms = useText("forms");
  const words = useText("words");
  return (
    <>
      <MultiSelect label={forms("events")} placeholder={events.length === 0 ? forms("all") : ""} searchable value={events} onChange={onEvents} data={told.map((e) => ({ value: e as string, label: forms(`event.${e}`) }))} />
      <MultiSelect label={words("severity")} placeholder={severity.length === 0 ? forms("anySeverity") : ""} value={severity} onChange={onSeverity} data={severities.map((s) => ({ value: s as string, label: words(`severity.${s}`) }))} />
    </>
  );
}
