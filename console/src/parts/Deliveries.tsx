import { Button, UnstyledButton } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useState } from "react";

import { useAct } from "~/api/act";
import type { Schema } from "~/api/client";
import { usePages } from "~/api/pages";
import { send } from "~/api/send";
import { useText } from "~/text/text";
import { Time } from "~/time/Time";

import css from "./deliveries.module.css";
import { Block } from "./Facts";
import { Pill } from "./Pill";
import { Empty, Failed, Loading } from "./States";
import { visible } from "./visible";

type Delivery = Schema<"DeliveryItem">;
const dots = { PENDING: "todo", DELIVERED: "good", FAILED: "bad" } as const;

/** What was sent to a webhook, channel or connector, and what it answered. */
export function Deliveries({ path, replay }: { path: string; replay: boolean }) {
  const t = useText("forms");
  const list = usePages<Delivery>({ key: ["deliveries", path], load: (page, signal) => send({ method: "GET", url: `${path}/deliveries?size=20&page=${page}` }, signal) });
  const [open, setOpen] = useState<string>();
  const act = useAct();
  return (
    <section>
      <h2>{t("deliveries")}</h2>
      {list.query.isPending ? <Loading rows={3} /> : null}
      {list.query.error ? <Failed error={list.query.error} /> : null}
      {list.query.data && list.rows.length === 0 ? <Empty title={t("deliveriesNone")}>{t("deliveriesNoneWhy")}</Empty> : null}
      <ul className={css.list}>
        {list.rows.map((d) => (
          <li key={d.id}>
            <UnstyledButton className={css.line} aria-expanded={open === d.id} onClick={() => setOpen(open === d.id ? undefined : d.id)}>
              {open === d.id ? <IconChevronDown size={14} aria-hidden /> : <IconChevronRight size={14} aria-hidden />}
              <span className={css.what}>{t(`event.${d.event}` as "event.canary")}</span>
              <Pill dot={dots[d.state]}>{t(`delivery.${d.state}`)}</Pill>
              <span className={css.code}>{d.response.status ?? "–"}</span>
              <span className={css.code}>{d.latencyMs === null ? "" : `${Math.round(d.latencyMs)} ms`}</span>
              <Time at={d.createdAt} className="dim" />
            </UnstyledButton>
            {open === d.id ? (
              <div className={css.more}>
                <div className={css.acts}>
                  <span className="dim">
                    {t("attempts", { n: d.attempts })}
                    {d.nextAttemptAt ? (
                      <>
                        {" · "}
                        {t("nextAttempt")} <Time at={d.nextAttemptAt} />
                      </>
                    ) : null}
                  </span>
                  {replay ? (
                    <Button size="compact-xs" variant="default" onClick={() => void act({ call: { method: "POST", url: `${path}/deliveries/${d.id}/replay` }, done: t("sentAgain"), renews: [["deliveries", path]] })}>
                      {t("sendAgain")}
                    </Button>
                  ) : null}
                </div>
                {d.error ? <div className={css.error}>{visible(d.error)}</div> : null}
                <h3>{t("request")}</h3>
                <Block label={t("request")} text={visible(`${Object.entries(d.request.headers).map(([k, v]) => `${k}: ${v}`).join("\n")}\n\n${pretty(d.request.body)}`.trim())} />
                <h3>{t("response")}</h3>
                {d.response.status === null ? <span className="dim">{t("noResponse")}</span> : <Block label={t("response")} text={`HTTP ${d.response.status}\n${visible(d.response.body)}`} />}
              </div>
            ) : null}
          </li>
        ))}
      </ul>
      {list.rows.length < list.total ? (
        <Button size="xs" variant="subtle" onClick={list.more}>
          {t("moreOf")}
        </Button>
      ) : null}
    </section>
  );
}

/** JSON with its lines broken; anything else as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
