import { useEffect, useState } from "react";
import { flushSync } from "react-dom";

/** How many rows above and below those in sight go to paper. */
export const printed = 1_000;

/** Whether the page is being printed. On paper there is no scrolling: what is loaded is to
 *  be drawn whole, up to a bound, before the browser takes the picture. */
export function usePrinting(): boolean {
  const [printing, setPrinting] = useState(false);
  useEffect(() => {
    const before = () => flushSync(() => setPrinting(true));
    const after = () => setPrinting(false);
    window.addEventListener("beforeprint", before);
    window.addEventListener("afterprint", after);
    return () => {
      window.removeEventListener("beforeprint", before);
      window.removeEventListener("afterprint", after);
    };
  }, []);
  return printing;
}
