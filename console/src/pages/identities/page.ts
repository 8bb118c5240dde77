import { IconUsers } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "identities",
  texts: ["identities", "forms", "words"],
  routes: [{ path: "/identities", load: () => import("./Identities") }],
  nav: { group: "know", icon: IconUsers, right: "identities:read" },
};
