import "@mantine/core/styles.css";
import "./theme/theme.css";

import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";

import { onSignedOut } from "./api/client";
import { queries } from "./api/queries";
import { router } from "./app/router";
import { languageNow } from "./text/text";
import { theme } from "./theme/theme";

document.documentElement.lang = languageNow();

// A session that ended elsewhere: to the door, and back to the same place afterwards.
onSignedOut(() => {
  const { pathname, href } = router.state.location;
  if (pathname === "/signin") return;
  void router.navigate({ to: "/signin" as never, search: { to: href } as never }).then(() => queries.clear());
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
        <Suspense fallback={null}>
          <RouterProvider router={router} />
        </Suspense>
      </MantineProvider>
    </QueryClientProvider>
  </StrictMode>,
);
