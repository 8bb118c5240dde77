import { IconRouter } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "sources",
  texts: ["sources", "forms", "words"],
  routes: [{ path: "/sources", load: () => import("./Sources") }],
  nav: { group: "manage", icon: IconRouter, right: "sources:read" },
};
