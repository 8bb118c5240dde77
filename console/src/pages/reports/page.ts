import { IconFileAnalytics } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "reports",
  texts: ["reports", "forms", "words"],
  routes: [{ path: "/reports", load: () => import("./Reports") }],
  nav: { group: "prove", icon: IconFileAnalytics, right: "reports:read" },
};
