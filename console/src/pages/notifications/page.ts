import { IconBellRinging } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "notifications",
  texts: ["notifications", "plan", "forms", "words"],
  routes: [{ path: "/notifications", load: () => import("./Notifications") }],
  nav: { group: "answer", icon: IconBellRinging, right: "inbox:read" },
};
