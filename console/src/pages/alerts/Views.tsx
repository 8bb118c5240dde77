import { ActionIcon, Button, Menu, Modal, Stack, Switch, TextInput, Tooltip } from "@mantine/core";
import { IconBookmark, IconBookmarkPlus, IconTrash, IconUsers, IconUsersMinus } from "@tabler/icons-react";
import { Link, useRouterState } from "@tanstack/react-router";
import { useState } from "react";

import { useSession } from "~/api/session";
import { useViews } from "~/parts/views";
import { visible } from "~/parts/visible";
import { useText } from "~/text/text";
import { parseQuery, writeQuery } from "~/url/url";

import css from "./alerts.module.css";

const before = {
  name: "alertViews",
  read: (kept: unknown) => (kept as { name: string; query: string }[]).map((v) => ({ name: v.name.slice(0, 60), query: v.query.replace(/^\?/, "") })),
};

/** Ways to look at alerts: those that everybody has, one's own, and those that others share. */
export function Views() {
  const t = useText("alerts");
  const parts = useText("parts");
  const { user, role } = useSession();
  const { views, save, remove, share } = useViews(
    "alerts",
    { saved: (name) => t("viewSaved", { name }), removed: (name) => t("viewRemoved", { name }), shared: (name) => t("viewShared", { name }), unshared: (name) => t("viewUnshared", { name }), unsharedOf: (name, owner) => t("viewUnsharedOf", { name, owner }) },
    before,
  );
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [shared, setShared] = useState(false);
  const now = useRouterState({ select: (s) => clean(s.location.searchStr) });
  const fixed = [
    { name: t("queue"), query: "" },
    { name: t("mine"), query: writeQuery({ assignedTo: user.email || user.name }) },
    { name: t("all"), query: writeQuery({ status: "any", sort: "createdAt", direction: "desc" }) },
  ];
  const changeable = views.filter((v) => v.own || role === "Admin");
  return (
    <>
      <nav className={css.views} aria-label={t("views")}>
        {fixed.map((v) => (
          <Link key={v.name} to="/alerts" search={parseQuery(v.query) as never} className={css.view} activeProps={{}} aria-current={v.query === now ? "page" : undefined}>
            {v.name}
          </Link>
        ))}
        {views.map((v) => (
          <Link key={v.id} to="/alerts" search={parseQuery(v.query) as never} className={css.view} activeProps={{}} title={v.own ? undefined : t("sharedBy", { name: visible(v.owner) })} aria-current={writeQuery(parseQuery(v.query)) === now ? "page" : undefined}>
            {visible(v.name)}
          </Link>
        ))}
      </nav>
      {changeable.length > 0 ? (
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label={t("views")} className={css.wideOnly}>
              <IconBookmark size={16} stroke={1.6} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            {changeable.map((v, i) => (
              <div key={v.id}>
                {i > 0 ? <Menu.Divider /> : null}
                <Menu.Label>
                  {visible(v.name)}
                  {v.own ? "" : ` · ${t("sharedBy", { name: visible(v.owner) })}`}
                </Menu.Label>
                <Menu.Item leftSection={v.shared ? <IconUsersMinus size={14} aria-hidden /> : <IconUsers size={14} aria-hidden />} onClick={() => void share(v)}>
                  {v.shared ? t("unshareView") : t("shareView")}
                </Menu.Item>
                <Menu.Item leftSection={<IconTrash size={14} aria-hidden />} onClick={() => void remove(v)}>
                  {t("removeView", { name: visible(v.name) })}
                </Menu.Item>
              </div>
            ))}
          </Menu.Dropdown>
        </Menu>
      ) : null}
      <Tooltip label={t("saveView")}>
        <ActionIcon variant="subtle" color="gray" aria-label={t("saveView")} onClick={() => setNaming(true)} className={css.wideOnly}>
          <IconBookmarkPlus size={16} stroke={1.6} />
        </ActionIcon>
      </Tooltip>
      <Modal opened={naming} onClose={() => setNaming(false)} title={t("saveView")} closeButtonProps={{ "aria-label": parts("close") }}>
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (name.trim() === "") return;
            void save(name.trim(), now.replace(/^\?/, ""), shared).then((done) => {
              if (!done) return;
              setNaming(false);
              setName("");
              setShared(false);
            });
          }}
        >
          <Stack gap="md">
            <TextInput label={t("viewName")} maxLength={60} value={name} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
            <Switch label={t("shareView")} checked={shared} onChange={(e) => setShared(e.currentTarget.checked)} />
            <Button type="submit" disabled={name.trim() === ""}>
              {t("saveView")}
            </Button>
          </Stack>
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
