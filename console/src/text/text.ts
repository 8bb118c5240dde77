import { use, useCallback, useSyncExternalStore } from "react";

import type { Texts } from "./texts";

export const languages = { en: "English", ko: "한국어", ja: "日本語" } as const;
export type Language = keyof typeof languages;

/** Values for the {places} of a text; n also chooses between key_one and key. */
export type Values = Record<string, string | number>;

const files = import.meta.glob<Record<string, string>>("./*/*.json", { import: "default" });
const loaded = new Map<string, Promise<Record<string, string>>>();

function load(language: Language, name: string): Promise<Record<string, string>> {
  const path = `./${language}/${name}.json`;
  let text = loaded.get(path);
  if (text === undefined) {
    text = files[path]?.() ?? Promise.reject(new Error(`there is no ${path}`));
    text.catch(() => loaded.delete(path));
    loaded.set(path, text);
  }
  return text;
}

const watchers = new Set<() => void>();
let current: Language = firstLanguage();

function firstLanguage(): Language {
  if (typeof navigator === "undefined") return "en";
  const kept = localStorage.getItem("kyra.language");
  for (const wanted of [kept, ...navigator.languages]) {
    const short = wanted?.slice(0, 2).toLowerCase();
    if (short && short in languages) return short as Language;
  }
  return "en";
}

export function useLanguage(): Language {
  return useSyncExternalStore(watch, () => current);
}

function watch(tell: () => void) {
  watchers.add(tell);
  return () => watchers.delete(tell);
}

export function languageNow(): Language {
  return current;
}

/** Changes the language at once, when the texts in use have arrived. */
export async function setLanguage(next: Language): Promise<void> {
  const names = new Set([...loaded.keys()].map((path) => path.split("/").pop()!.replace(".json", "")));
  await Promise.all([...names].map((name) => load(next, name)));
  current = next;
  localStorage.setItem("kyra.language", next);
  document.documentElement.lang = next;
  for (const tell of watchers) tell();
}

/** Fills the places of a text; numbers are written as the language does. */
export function fill(text: string, values: Values | undefined, language: Language): string {
  if (values === undefined) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? value.toLocaleString(language) : value;
  });
}

/** The keys that may be asked for: those of other numbers are chosen by n. */
type Asked<Key> = Key extends `${string}_one` ? never : Key;
export type Translate<Name extends keyof Texts> = (key: Asked<keyof Texts[Name] & string>, values?: Values) => string;

/** Returns the texts of a page or part in the person's language; suspends while they load. */
export function useText<Name extends keyof Texts>(name: Name): Translate<Name> {
  const language = useLanguage();
  const texts = use(load(language, name));
  return useCallback(
    (key, values) => {
      const one = values?.n === 1 ? texts[`${key}_one`] : undefined;
      return fill(one ?? texts[key] ?? key, values, language);
    },
    [texts, language],
  );
}

/** Loads texts before they are shown, so that nothing flickers. */
export function preload(names: (keyof Texts)[]): Promise<unknown> {
  return Promise.all(names.map((name) => load(current, name)));
}
