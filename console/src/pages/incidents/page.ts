import { IconFolder } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "incidents",
  texts: ["incidents"],
  routes: [
    { path: "/incidents", load: () => import("./Incidents") },
    { path: "/incidents/$id", load: () => import("./CasePage") },
  ],
  nav: { group: "work", icon: IconFolder, key: "i", right: "incidents:read" },
};
