import { PageHead } from "~/frame/PageHead";
import { useText } from "~/text/text";

export default function Overview() {
  const t = useText("overview");
  return <PageHead title={t("title")} />;
}
