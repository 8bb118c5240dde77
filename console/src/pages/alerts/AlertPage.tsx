import { PageHead } from "~/frame/PageHead";
import { useText } from "~/text/text";

export default function Alerts() {
  const t = useText("alerts");
  return <PageHead title={t("title")} />;
}
