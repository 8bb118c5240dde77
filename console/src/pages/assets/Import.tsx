import { FileInput } from "@mantine/core";
import { useState } from "react";

import type { Schema } from "~/api/client";
import { queries } from "~/api/queries";
import { sendFile } from "~/api/send";
import { Dialog } from "~/parts/Dialog";
import { Rows } from "~/parts/Facts";
import { toast, toastFault } from "~/parts/Toasts";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";

type Outcome = Schema<"ImportAssetsOutBody">;

/** Machines from a file: first what it would do, then doing it. */
export function Import({ onClose }: { onClose: () => void }) {
  const t = useText("assets");
  const parts = useText("parts");
  const [file, setFile] = useState<File | null>(null);
  const [tried, setTried] = useState<Outcome>();
  const fine = tried !== undefined && tried.errors.length === 0;
  return (
    <Dialog
      wide
      title={t("import")}
      action={fine ? t("importNow") : t("importTry")}
      ready={file !== null}
      onClose={onClose}
      onSubmit={async () => {
        try {
          const got = await sendFile<Outcome>(`/api/v1/assets/import?dryRun=${!fine}`, file!, "text/csv");
          if (!fine || got.errors.length > 0) {
            setTried(got);
            return false;
          }
          toast(t("imported", { created: got.created, updated: got.updated }));
          void queries.invalidateQueries({ queryKey: ["assets"] });
          return true;
        } catch (error) {
          toastFault(parts("actFailed"), error);
          return false;
        }
      }}
    >
      <FileInput
        label={t("file")}
        description={t("importWhy")}
        placeholder={t("chooseFile")}
        required
        accept=".csv,text/csv"
        value={file}
        onChange={(f) => {
          setFile(f);
          setTried(undefined);
        }}
      />
      {tried ? (
        <div role="status">
          {tried.errors.length === 0 ? t("wouldImport", { created: tried.created, updated: tried.updated }) : <Rows label={t("faults")} head={[t("line"), t("column"), t("faults")]} rows={tried.errors.map((e, i) => ({ key: String(i), cells: [e.line, visible(e.field), visible(e.message)] }))} />}
        </div>
      ) : null}
    </Dialog>
  );
}
