import { IconBell } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "alerts",
  texts: ["alerts"],
  routes: [
    { path: "/alerts", load: () => import("./Alerts") },
    { path: "/alerts/$id", load: () => import("./AlertPage") },
  ],
  nav: { group: "work", icon: IconBell, key: "a", right: "alerts:read" },
};
