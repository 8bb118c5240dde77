import { IconUserShield } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "privacy",
  texts: ["privacy", "forms", "words"],
  routes: [{ path: "/privacy", load: () => import("./Privacy") }],
  nav: { group: "prove", icon: IconUserShield, right: "privacy:read" },
};
