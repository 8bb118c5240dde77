import { IconPlugConnected } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "connectors",
  texts: ["connectors", "forms", "words"],
  routes: [{ path: "/connectors", load: () => import("./Connectors") }],
  nav: { group: "answer", icon: IconPlugConnected, right: "connectors:read" },
};
