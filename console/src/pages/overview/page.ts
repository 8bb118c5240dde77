import { IconLayoutDashboard } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "overview",
  texts: ["overview", "plan"],
  routes: [
    { path: "/", load: () => import("./Overview") },
  ],
  nav: { group: "work", icon: IconLayoutDashboard, key: "o" },
};
