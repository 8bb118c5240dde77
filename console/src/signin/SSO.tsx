import { Button } from "@mantine/core";
import { useParams, useRouter } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { Problem } from "~/api/problem";
import { finishSSO } from "~/api/session";
import { Loading } from "~/parts/States";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

import { Door } from "./Door";
import { codeOf, faultOf } from "./faults";
import css from "./signin.module.css";

/** Where an identity provider sends people back to: its answer is taken to the server once. */
export default function SSO() {
  const t = useText("signin");
  const router = useRouter();
  const { slug = "" } = useParams({ strict: false }) as { slug?: string };
  const [error, setError] = useState<unknown>();
  const taken = useRef(false);
  useEffect(() => {
    if (taken.current) return;
    taken.current = true;
    const q = new URLSearchParams(window.location.search);
    const text = (name: string) => q.get(name) ?? "";
    // What is in the address opens a session: it stays neither there nor in the history.
    window.history.replaceState(window.history.state, "", window.location.pathname);
    finishSSO({ slug, state: text("state"), code: text("code"), iss: text("iss"), error: text("error"), errorDescription: text("error_description") }).then(
      async (to) => {
        await router.invalidate();
        router.history.replace(to);
      },
      (e: unknown) => setError(e),
    );
  }, [slug, router]);
  return (
    <Door title={t("signIn")}>
      {error === undefined ? (
        <Loading rows={2} />
      ) : (
        <div className={css.form}>
          <div role="alert" className={css.fault}>
            {faultOf(t, error)}
            {error instanceof Problem && ["ssoFailed", "ssoDenied"].includes(codeOf(error)) ? <p className={css.detail}>{visible(error.remedy)}</p> : null}
          </div>
          <Button variant="default" fullWidth onClick={() => void router.navigate({ to: "/signin" as never, replace: true })}>
            {t("backToSignIn")}
          </Button>
        </div>
      )}
    </Door>
  );
}
