import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";

/** What stands behind the ? of an address: a name once, or several times. */
export type Query = Record<string, string | string[]>;

export function parseQuery(text: string): Query {
  const query: Query = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const before = query[name];
    query[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return query;
}

export function writeQuery(query: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined && one !== null) params.append(name, String(one));
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

/** What to change: undefined and [] take a name away. */
export type QueryChange = Record<string, string | string[] | undefined>;

export type Url = {
  get: (name: string) => string | undefined;
  all: (name: string) => string[];
  /** Changes the address; a step of its own in the history unless replace is set. */
  set: (change: QueryChange, options?: { replace?: boolean }) => void;
};

/** The state of a page that its address holds, so that a link shows the same. */
export function useUrl(): Url {
  const query = useSearch({ strict: false }) as Query;
  const navigate = useNavigate();
  const set = useCallback(
    (change: QueryChange, options?: { replace?: boolean }) => {
      void navigate({
        to: ".",
        replace: options?.replace ?? false,
        search: ((before: Query) => {
          const next: Query = { ...before };
          for (const [name, value] of Object.entries(change)) {
            if (value === undefined || value.length === 0) delete next[name];
            else next[name] = Array.isArray(value) && value.length === 1 ? value[0]! : value;
          }
          return next;
        }) as never,
      });
    },
    [navigate],
  );
  return useMemo(() => {
    const all = (name: string) => {
      const value = query[name];
      return value === undefined ? [] : Array.isArray(value) ? value : [value];
    };
    return { get: (name) => all(name)[0], all, set };
  }, [query, set]);
}
