import { IconShieldCheck } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "compliance",
  texts: ["compliance", "forms", "words"],
  routes: [
    { path: "/compliance", load: () => import("./Frameworks") },
    { path: "/compliance/evidence", load: () => import("./Evidence") },
    { path: "/compliance/framework/$framework", load: () => import("./Framework") },
  ],
  nav: { group: "prove", icon: IconShieldCheck, key: "c", right: "compliance:read" },
};
