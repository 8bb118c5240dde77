import { IconServer } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "assets",
  texts: ["assets", "forms", "words"],
  routes: [{ path: "/assets", load: () => import("./Assets") }],
  nav: { group: "know", icon: IconServer, right: "assets:read" },
};
