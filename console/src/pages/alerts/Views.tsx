import { ActionIcon, Menu, Modal, TextInput, Button, Tooltip } from "@mantine/core";
import { IconBookmarkPlus, IconTrash, IconBookmark } from "@tabler/icons-react";
import { Link, useRouterState } from "@tanstack/react-router";
import { useState } from "react";

import { useSession } from "~/api/session";
import { useText } from "~/text/text";
import { useStored } from "~/url/stored";
import { parseQuery, writeQuery } from "~/url/url";

import css from "./alerts.module.css";

type View = { name: string; query: string };

/** Ways to look at alerts: four that everybody has, and those that were saved here. */
export function Views() {
  const t = useText("alerts");
  const { user } = useSession();
  const [saved, setSaved] = useStored<View[]>("alertViews", []);
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const now = useRouterState({ select: (s) => clean(s.location.searchStr) });
  const fixed: View[] = [
    { name: t("queue"), query: "" },
    { name: t("mine"), query: writeQuery({ assignedTo: user.email || user.name }) },
    { name: t("all"), query: writeQuery({ status: "any", sort: "createdAt", direction: "desc" }) },
  ];
  return (
    <>
      <nav className={css.views} aria-label={t("views")}>
        {fixed.map((v) => (
          <Link key={v.name} to="/alerts" search={parseQuery(v.query) as never} className={css.view} activeProps={{}} aria-current={v.query === now ? "page" : undefined}>
            {v.name}
          </Link>
        ))}
        {saved.map((v) => (
          <Link key={v.name} to="/alerts" search={parseQuery(v.query) as never} className={css.view} activeProps={{}} aria-current={v.query === now ? "page" : undefined}>
            {v.name}
          </Link>
        ))}
      </nav>
      {saved.length > 0 ? (
        <Menu>
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label={t("views")} className={css.wideOnly}>
              <IconBookmark size={16} stroke={1.6} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            {saved.map((v) => (
              <Menu.Item key={v.name} leftSection={<IconTrash size={14} aria-hidden />} onClick={() => setSaved(saved.filter((o) => o !== v))}>
                {t("removeView", { name: v.name })}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      ) : null}
      <Tooltip label={t("saveView")}>
        <ActionIcon variant="subtle" color="gray" aria-label={t("saveView")} onClick={() => setNaming(true)} className={css.wideOnly}>
          <IconBookmarkPlus size={16} stroke={1.6} />
        </ActionIcon>
      </Tooltip>
      <Modal opened={naming} onClose={() => setNaming(false)} title={t("saveView")} closeButtonProps={{ "aria-label": t("clearSelection") }}>
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (name.trim() === "") return;
            setSaved([...saved.filter((v) => v.name !== name.trim()), { name: name.trim(), query: now }]);
            setNaming(false);
            setName("");
          }}
        >
          <TextInput label={t("viewName")} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus mb="md" />
          <Button type="submit" disabled={name.trim() === ""}>
            {t("saveView")}
          </Button>
        </form>
      </Modal>
    </>
  );
}

/** The address without what is open: that is no part of a view. */
function clean(text: string): string {
  const { open: _open, tab: _tab, ...rest } = parseQuery(text);
  return writeQuery(rest);
}
