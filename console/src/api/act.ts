import { useCallback } from "react";

import { toast, toastFault } from "~/parts/Toasts";
import { useText } from "~/text/text";

import { queries } from "./queries";
import { curlFor, send, type Call } from "./send";

export type Act = {
  call: Call;
  /** What is said when it is done, in the person's language. */
  done: string;
  /** Takes it back: offered beside what was done. */
  undo?: Call | undefined;
  /** Keys of queries to read again. */
  renews: readonly (readonly unknown[])[];
  /** Shows the outcome before the server has answered; what it returns takes that back. */
  ahead?: (() => () => void) | undefined;
};

/** Makes a change: shows it at once, says that it is done, and offers the way back. */
export function useAct(): <T = unknown>(act: Act) => Promise<T | undefined> {
  const t = useText("parts");
  return useCallback(
    async <T>(act: Act) => {
      const renew = () => Promise.all(act.renews.map((queryKey) => queries.invalidateQueries({ queryKey })));
      const takeBack = act.ahead?.();
      try {
        const got = await send<T>(act.call);
        const undo = act.undo;
        toast(act.done, {
          curl: curlFor(act.call),
          undo: undo
            ? () => {
                void send(undo)
                  .then(() => toast(t("undone")))
                  .catch((error: unknown) => toastFault(t("undoFailed"), error))
                  .finally(renew);
              }
            : undefined,
        });
        void renew();
        return got;
      } catch (error) {
        takeBack?.();
        toastFault(t("actFailed"), error);
        void renew();
        return undefined;
      }
    },
    [t],
  );
}
