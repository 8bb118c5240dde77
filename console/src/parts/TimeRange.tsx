import { Button, Popover, TextInput } from "@mantine/core";
import { IconCalendar, IconChevronDown } from "@tabler/icons-react";
import { useState } from "react";

import { useText } from "~/text/text";
import { exact, useZone } from "~/time/time";
import { useUrl } from "~/url/url";

import { parseLocal, rangeOf, spans, type Span } from "./range";
import css from "./timerange.module.css";

/** Chooses what time a page looks at. The address holds it as last=24h, or from= and to=. */
export function TimeRange({ standard = "24h" }: { standard?: Span }) {
  const t = useText("parts");
  const zone = useZone();
  const url = useUrl();
  const [opened, setOpened] = useState(false);
  const range = rangeOf(url, standard, Date.now());
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const a = parseLocal(from, zone);
  const b = parseLocal(to, zone);
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-end"
      trapFocus
      returnFocus
    >
      <Popover.Target>
        <Button
          size="xs"
          variant="default"
          className={css.button}
          leftSection={<IconCalendar size={14} aria-hidden />}
          rightSection={<IconChevronDown size={12} aria-hidden />}
          title={t("timeRange")}
          onClick={() => {
            setFrom(exact(range.from));
            setTo(exact(range.to));
            setOpened(!opened);
          }}
        >
          {range.span ? t(`span.${range.span}`) : `${exact(range.from).slice(0, 16)} – ${exact(range.to).slice(0, 16)}`}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className={css.content}>
          <div className={css.spans}>
            {spans.map((s) => (
              <Button
                key={s}
                size="compact-sm"
                variant={range.span === s ? "light" : "subtle"}
                color={range.span === s ? "blue" : "gray"}
                justify="flex-start"
                onClick={() => {
                  url.set({ last: s, from: undefined, to: undefined });
                  setOpened(false);
                }}
              >
                {t(`span.${s}`)}
              </Button>
            ))}
          </div>
          <form
            className={css.exact}
            onSubmit={(e) => {
              e.preventDefault();
              if (a === undefined || b === undefined || a >= b) return;
              url.set({ last: undefined, from: new Date(a).toISOString(), to: new Date(b).toISOString() });
              setOpened(false);
            }}
          >
            <TextInput size="xs" label={t("from")} value={from} onChange={(e) => setFrom(e.currentTarget.value)} error={a === undefined ? t("timeForm") : undefined} />
            <TextInput size="xs" label={t("to")} value={to} onChange={(e) => setTo(e.currentTarget.value)} error={b === undefined ? t("timeForm") : a !== undefined && a >= b ? t("timeOrder") : undefined} />
            <div className="dim">{zone}</div>
            <Button size="xs" type="submit">
              {t("apply")}
            </Button>
          </form>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
