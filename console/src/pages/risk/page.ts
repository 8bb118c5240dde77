import { IconGauge } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "risk",
  texts: ["risk", "forms", "words"],
  routes: [{ path: "/risk", load: () => import("./Risk") }],
  nav: { group: "know", icon: IconGauge, right: "risk:read" },
};
