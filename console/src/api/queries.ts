import { QueryClient } from "@tanstack/react-query";

import { Problem } from "./problem";

/** Holds what was read from the server. Reads are tried again only where that can help. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: true,
      retry: (times, error) => times < 2 && error instanceof Problem && (error.status === 0 || error.status === 429 || error.status >= 502),
      retryDelay: (times, error) => Math.max(error instanceof Problem ? error.retryAfter * 1000 : 0, 500 * 2 ** times),
    },
    mutations: { retry: false },
  },
});
