import { IconBuildings } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "tenants",
  texts: ["tenants", "plan", "alerts", "forms", "words"],
  routes: [{ path: "/tenants", load: () => import("./Tenants") }],
  nav: { group: "manage", icon: IconBuildings, right: "provider:read" },
};
