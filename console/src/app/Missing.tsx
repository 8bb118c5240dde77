import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";

import { Empty } from "~/parts/States";
import { useText } from "~/text/text";

export function Missing() {
  const t = useText("frame");
  return (
    <Empty
      title={t("missing")}
      action={
        <Button size="xs" variant="default" renderRoot={(props) => <Link to="/" {...props} />}>
          {t("toOverview")}
        </Button>
      }
    >
      {t("missingWhy")}
    </Empty>
  );
}
