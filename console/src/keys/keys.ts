import { useEffect, useRef, useSyncExternalStore } from "react";

/** A key or two in a row: "j", "g a", "mod+k", "shift+x", "Enter". */
export type Binding = {
  keys: string;
  /** What it does, in the person's language: it stands in the keyboard map. */
  label: string;
  /** Under which heading it stands there. */
  group: string;
  run: (event: KeyboardEvent) => void;
  /** Also while a text is being written. */
  inText?: boolean;
  /** Keeps it out of the keyboard map. */
  quiet?: boolean;
};

type Layer = { bindings: Binding[]; modal: boolean };

const layers: Layer[] = [];
const watchers = new Set<() => void>();
let shown: Binding[] = [];
let singles = typeof localStorage === "undefined" || localStorage.getItem("kyra.singleKeys") !== "off";

function tell() {
  shown = layers.flatMap((l) => l.bindings).filter((b) => !b.quiet);
  for (const t of watchers) t();
}

/** Single letters can be switched off, for who dictates or hits keys by accident. */
export function useSingleKeys(): [boolean, (on: boolean) => void] {
  const on = useSyncExternalStore(watch, () => singles);
  return [
    on,
    (next) => {
      singles = next;
      localStorage.setItem("kyra.singleKeys", next ? "on" : "off");
      tell();
    },
  ];
}

function watch(t: () => void) {
  watchers.add(t);
  return () => watchers.delete(t);
}

/** Everything that keys do at present. */
export function useBindings(): Binding[] {
  return useSyncExternalStore(watch, () => shown);
}

/** How an event is written in a binding. */
export function nameOf(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey" | "code">): string {
  // On Korean and Japanese layouts the key is a letter of that script: the place on the board tells.
  let key = event.key;
  if (key.length === 1 && key.charCodeAt(0) > 127 && /^Key[A-Z]$/.test(event.code)) key = event.code.slice(3).toLowerCase();
  if (key === "Process" && /^Key[A-Z]$/.test(event.code)) key = event.code.slice(3).toLowerCase();
  const letter = /^[a-z]$/i.test(key);
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("mod");
  if (event.altKey) parts.push("alt");
  if (event.shiftKey && (letter || key.length > 1)) parts.push("shift");
  parts.push(letter ? key.toLowerCase() : key);
  return parts.join("+");
}

let before = "";
let beforeAt = 0;

function onKey(event: KeyboardEvent) {
  if (event.defaultPrevented || event.isComposing) return;
  const name = nameOf(event);
  const target = event.target instanceof HTMLElement ? event.target : null;
  const writing = target !== null && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) && !(target instanceof HTMLInputElement && /^(checkbox|radio|button|submit)$/.test(target.type));
  const pressing = target !== null && (name === "Enter" || name === " ") && target.closest("a,button,summary,[role=button],[role=menuitem],[role=option],[role=tab]") !== null;
  // An open menu has closed itself: what lies under it stays as it is.
  if (name === "Escape" && target?.closest("[role=menu],[role=listbox]")) return;
  const pair = before !== "" && event.timeStamp - beforeAt < 1200 ? `${before} ${name}` : "";
  for (let i = layers.length - 1; i >= 0; i--) {
    const layer = layers[i]!;
    const hit = (keys: string) =>
      layer.bindings.find((b) => b.keys === keys && (!writing || b.inText) && !pressing && (singles || !/^(shift\+)?.( .)?$/.test(keys) || keys === "?"));
    const found = (pair !== "" && hit(pair)) || hit(name);
    if (found) {
      before = "";
      event.preventDefault();
      found.run(event);
      return;
    }
    if (layer.modal) return;
  }
  before = writing ? "" : name;
  beforeAt = event.timeStamp;
}

if (typeof document !== "undefined") document.addEventListener("keydown", onKey);

/** Binds keys while the caller is shown; later callers come first. modal hides all before. */
export function useKeys(bindings: Binding[], options: { modal?: boolean; off?: boolean } = {}) {
  const layer = useRef<Layer>({ bindings: [], modal: false });
  const { modal = false, off = false } = options;
  useEffect(() => {
    layer.current.modal = modal;
    const changed = layer.current.bindings.length !== bindings.length || bindings.some((b, i) => b.keys !== layer.current.bindings[i]!.keys || b.label !== layer.current.bindings[i]!.label);
    layer.current.bindings = bindings;
    if (changed) tell();
  });
  useEffect(() => {
    if (off) return;
    const mine = layer.current;
    layers.push(mine);
    tell();
    return () => {
      layers.splice(layers.indexOf(mine), 1);
      tell();
    };
  }, [off]);
}
