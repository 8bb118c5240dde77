import { PageHead } from "~/frame/PageHead";
import { useText } from "~/text/text";

export default function Incidents() {
  const t = useText("incidents");
  return <PageHead title={t("title")} />;
}
