import { IconRoute } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "playbooks",
  texts: ["playbooks", "forms", "words"],
  routes: [
    { path: "/playbooks", load: () => import("./Playbooks") },
    { path: "/playbooks/$id", load: () => import("./Playbook") },
  ],
  nav: { group: "answer", icon: IconRoute, key: "p", right: "playbooks:read" },
};
