import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";

type Page<Row> = { content: Row[]; totalElements: number; totalPages: number; number: number };

/** A list of the API, read page by page as its end comes into sight. What moved between
 *  two pages is shown once. every says, by what was read, after how many ms to read again;
 *  where nobody looks it waits. */
export function usePages<Row extends { id: string }>(options: { key: readonly unknown[]; load: (page: number, signal: AbortSignal) => Promise<Page<Row>>; enabled?: boolean; every?: (rows: Row[]) => number | false }) {
  const q = useInfiniteQuery({
    queryKey: options.key,
    queryFn: ({ pageParam, signal }) => options.load(pageParam, signal),
    initialPageParam: 0,
    getNextPageParam: (last) => (last.number + 1 < last.totalPages ? last.number + 1 : undefined),
    placeholderData: keepPreviousData,
    enabled: options.enabled ?? true,
    refetchInterval: (of) => options.every?.(of.state.data?.pages.flatMap((p) => p.content) ?? []) ?? false,
  });
  const rows = useMemo(() => {
    const seen = new Set<string>();
    return (q.data?.pages ?? []).flatMap((p) => p.content).filter((row) => !seen.has(row.id) && seen.add(row.id));
  }, [q.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = q;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return { rows, total: q.data?.pages.at(-1)?.totalElements ?? 0, more, query: q };
}
