import { IconWorldSearch } from "@tabler/icons-react";

import type { Page } from "../page";

export const page: Page = {
  id: "exposure",
  texts: ["exposure", "forms", "words"],
  routes: [{ path: "/exposure", load: () => import("./Exposure") }],
  nav: { group: "know", icon: IconWorldSearch, right: "exposure:read" },
};
