import { useCallback, useSyncExternalStore } from "react";

const watchers = new Map<string, Set<() => void>>();
const parsed = new Map<string, { text: string | null; value: unknown }>();

function read<T>(key: string, standard: T): T {
  const text = localStorage.getItem(key);
  const known = parsed.get(key);
  if (known && known.text === text) return known.value as T;
  let value: unknown = standard;
  if (text !== null)
    try {
      value = JSON.parse(text);
    } catch {
      value = standard;
    }
  parsed.set(key, { text, value });
  return value as T;
}

/** A setting that this browser keeps, such as a panel's width. */
export function useStored<T>(name: string, standard: T): [T, (next: T) => void] {
  const key = `kyra.${name}`;
  const value = useSyncExternalStore(
    (tell) => {
      const set = watchers.get(key) ?? new Set();
      watchers.set(key, set.add(tell));
      return () => set.delete(tell);
    },
    () => read(key, standard),
  );
  const write = useCallback(
    (next: T) => {
      localStorage.setItem(key, JSON.stringify(next));
      for (const tell of watchers.get(key) ?? []) tell();
    },
    [key],
  );
  return [value, write];
}
