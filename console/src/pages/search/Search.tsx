import { PageHead } from "~/frame/PageHead";
import { useText } from "~/text/text";

export default function Search() {
  const t = useText("search");
  return <PageHead title={t("title")} />;
}
