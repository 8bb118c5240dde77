import type { Icon } from "@tabler/icons-react";
import type { ComponentType } from "react";

import type { Texts } from "~/text/texts";

export const groups = ["work", "detect", "know", "answer", "prove", "manage"] as const;

/** A page of the console: one folder below pages, one line in registry.ts. */
export type Page = {
  /** The folder's name; nav.<id> in frame.json is its label. */
  id: string;
  /** Addresses and what they show. The first is where the rail leads. */
  routes: { path: string; load: () => Promise<{ default: ComponentType }> }[];
  /** Files of texts that it needs, loaded before it shows. */
  texts: (keyof Texts)[];
  /** Its place in the rail; a page without one is reached by links. */
  nav?: {
    group: (typeof groups)[number];
    icon: Icon;
    /** The letter after g that leads there. */
    key?: string;
    /** The right without which it is left out, as GET /session names it. */
    right?: string;
  };
};
