import { IconListDetails } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "audit",
  texts: ["audit", "forms", "words"],
  routes: [{ path: "/audit-logs", load: () => import("./Audit") }],
  nav: { group: "prove", icon: IconListDetails, right: "audit:read" },
};
