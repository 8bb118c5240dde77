import { IconListSearch } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "search",
  texts: ["search"],
  routes: [
    { path: "/search", load: () => import("./Search") },
  ],
  nav: { group: "work", icon: IconListSearch, key: "s", right: "events:read" },
};
