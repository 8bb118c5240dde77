/** The least width of a track such as 120px or minmax(160px, 1fr). */
function least(track: string): number {
  return Number(/(\d+)px/.exec(track)?.[1] ?? 0);
}

/** What flexible tracks shrink to before a column goes. */
const narrowest = 96;

/** The columns that a table of this width holds, with their tracks: where they are too wide
 *  together, flexible ones give way first, and then the last ones go. */
export function fitting<C extends { width: string; from?: number | undefined }>(columns: readonly C[], width: number): { columns: C[]; tracks: string[] } {
  const shown = columns.filter((c) => width === 0 || (c.from ?? 0) <= width);
  const sum = (of: readonly string[]) => of.reduce((n, track) => n + least(track), 0);
  let tracks = shown.map((c) => c.width);
  if (width === 0 || sum(tracks) <= width) return { columns: shown, tracks };
  tracks = tracks.map((track) => (track.startsWith("minmax") ? track.replace(/\d+px/, `${Math.min(narrowest, least(track))}px`) : track));
  while (tracks.length > 1 && sum(tracks) > width) {
    tracks.pop();
    shown.pop();
  }
  return { columns: shown, tracks };
}
