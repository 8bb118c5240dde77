import { IconSettings } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "settings",
  texts: ["settings", "forms", "words", "plan", "access"],
  routes: [
    { path: "/settings", load: () => import("./Settings") },
    { path: "/settings/$section", load: () => import("./Settings") },
  ],
  nav: { group: "manage", icon: IconSettings, key: "," },
};
