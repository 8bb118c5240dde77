import { Button } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { flushSync } from "react-dom";

import { useKeys } from "~/keys/keys";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

import { offersAt, take } from "./complete";
import type { Field } from "./data";
import css from "./search.module.css";

/** The query, with completion while it is written and a mark where it is wrong. */
export function QueryBox({ query, fields, fault, busy, onRun }: { query: string; fields: Field[]; fault?: { at: number | undefined; text: string } | undefined; busy: boolean; onRun: (query: string) => void }) {
  const t = useText("search");
  const parts = useText("parts");
  const [text, setText] = useState(query);
  const [at, setAt] = useState(0);
  const [shown, setShown] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const box = useRef<HTMLInputElement>(null);
  const list = useId();
  useEffect(() => setText(query), [query]);
  useKeys([{ keys: "/", label: parts("keyFind"), group: t("title"), run: () => box.current?.select() }]);

  const offers = useMemo(() => (shown ? offersAt(text, at, fields) : undefined), [shown, text, at, fields]);
  const accept = (one: string) => {
    if (offers === undefined) return;
    const next = take(text, offers, one);
    // At once: a frame later the caret would jump among what is typed by then.
    flushSync(() => {
      setText(next.query);
      setAt(next.at);
      setChosen(-1);
    });
    box.current?.focus();
    box.current?.setSelectionRange(next.at, next.at);
  };
  return (
    <form
      className={css.queryForm}
      role="search"
      onSubmit={(e) => {
        e.preventDefault();
        setShown(false);
        onRun(text.trim());
      }}
    >
      <div className={css.queryWrap}>
        <IconSearch size={16} className={css.queryIcon} aria-hidden />
        <input
          ref={box}
          className={css.query}
          role="combobox"
          aria-expanded={offers !== undefined}
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={offers && chosen >= 0 ? `${list}-${chosen}` : undefined}
          aria-label={t("query")}
          aria-invalid={fault ? true : undefined}
          aria-describedby={fault ? `${list}-fault` : undefined}
          placeholder={t("placeholder")}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          value={text}
          onChange={(e) => {
            setText(e.currentTarget.value);
            setAt(e.currentTarget.selectionStart ?? e.currentTarget.value.length);
            setShown(true);
            setChosen(-1);
          }}
          onSelect={(e) => setAt(e.currentTarget.selectionStart ?? 0)}
          onBlur={() => setTimeout(() => setShown(false), 150)}
          onKeyDown={(e) => {
            if (e.nativeEvent.isComposing) return;
            if (e.key === "Escape") {
              e.preventDefault();
              if (offers) setShown(false);
              else box.current?.blur();
            } else if ((e.key === "ArrowDown" || e.key === "ArrowUp") && (offers || e.key === "ArrowDown")) {
              e.preventDefault();
              if (!offers) return setShown(true);
              const n = offers.list.length;
              setChosen((c) => (e.key === "ArrowDown" ? (c + 1) % n : (c <= 0 ? n : c) - 1));
            } else if ((e.key === "Enter" || e.key === "Tab") && offers && chosen >= 0) {
              e.preventDefault();
              accept(offers.list[chosen]!);
            } else if (e.key === "Tab" && offers && !e.shiftKey && shown && text !== "") {
              e.preventDefault();
              accept(offers.list[0]!);
            } else if (e.key === "Enter") {
              // The button is off while a search runs, and with it the browser's own way of sending a form.
              e.preventDefault();
              e.currentTarget.form?.requestSubmit();
            }
          }}
        />
        {offers ? (
          <div id={list} role="listbox" aria-label={t("offers")} className={css.offers}>
            {offers.list.map((one, i) => (
              <div key={one} id={`${list}-${i}`} role="option" aria-selected={i === chosen} className={css.offer} ref={i === chosen ? (el) => el?.scrollIntoView({ block: "nearest" }) : null} onPointerDown={(e) => e.preventDefault()} onClick={() => accept(one)}>
                <span className="mono">{visible(one)}</span>
                <span className={css.offerKind}>{t(`offer.${offers.kind}`)}</span>
              </div>
            ))}
          </div>
        ) : (
          <div id={list} hidden />
        )}
      </div>
      <Button type="submit" size="sm" loading={busy}>
        {t("run")}
      </Button>
      {fault ? (
        <div id={`${list}-fault`} className={css.fault} role="alert">
          {fault.at === undefined ? null : (
            <code>
              {visible(query.slice(0, fault.at))}
              <mark>{visible(query.slice(fault.at, fault.at + 1)) || " "}</mark>
              {visible(query.slice(fault.at + 1))}
            </code>
          )}
          <span>{fault.text}</span>
        </div>
      ) : null}
    </form>
  );
}
