import { IconShieldSearch } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "rules",
  texts: ["rules", "forms", "words"],
  routes: [
    { path: "/rules", load: () => import("./Rules") },
    { path: "/rules/coverage", load: () => import("./Coverage") },
    { path: "/rules/$id", load: () => import("./RulePage") },
  ],
  nav: { group: "detect", icon: IconShieldSearch, key: "r", right: "rules:read" },
};
