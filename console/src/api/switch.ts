import { useRouter } from "@tanstack/react-router";

import { toastFault } from "~/parts/Toasts";
import { useText } from "~/text/text";

import { switchTenant, useSession } from "./session";

/** Looks at a tenant from now on: at its overview, or at what to names. */
export function useSwitch(): (tenantId: string, to?: string) => Promise<void> {
  const t = useText("frame");
  const router = useRouter();
  const { tenant } = useSession();
  return async (tenantId, to = "/") => {
    try {
      if (tenantId !== tenant.id) await switchTenant(tenantId);
      await router.navigate({ to: to as "/" });
      await router.invalidate();
    } catch (error) {
      toastFault(t("switchFailed"), error);
    }
  };
}
