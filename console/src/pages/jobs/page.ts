import { IconProgressCheck } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "jobs",
  texts: ["jobs", "forms", "words"],
  routes: [{ path: "/jobs", load: () => import("./Jobs") }],
  nav: { group: "manage", icon: IconProgressCheck, right: "jobs:read" },
};
