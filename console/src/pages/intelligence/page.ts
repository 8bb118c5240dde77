import { IconRadar2 } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "intelligence",
  texts: ["intelligence", "forms", "words"],
  routes: [{ path: "/intelligence", load: () => import("./Intelligence") }],
  nav: { group: "know", icon: IconRadar2, right: "intel:read" },
};
