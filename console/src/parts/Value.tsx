import { Menu } from "@mantine/core";
import { IconCopy, IconFilter, IconFilterOff, IconSearch, IconBell, IconExternalLink } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { createContext, useContext, useMemo, useState, type ReactNode } from "react";

import { useText } from "~/text/text";

import { copy } from "./copy";
import { entityLinks } from "./entities";
import { Raw } from "./Raw";
import { term } from "./term";
import { toast } from "./Toasts";
import { visible } from "./visible";
import css from "./value.module.css";

type Asked = { field: string; value: string; rect: DOMRect; from: HTMLElement };
type Filter = (field: string, value: string, out: boolean) => void;

const MenuContext = createContext<(asked: Asked) => void>(() => {});
const FilterContext = createContext<Filter | undefined>(undefined);

/** Makes the values below filter the page they stand on. */
export function ValueFilter({ onFilter, children }: { onFilter: Filter; children: ReactNode }) {
  return (
    <FilterContext value={onFilter}>
      <ValueMenu>{children}</ValueMenu>
    </FilterContext>
  );
}

/** A value as a handle: click or Enter offers filter in and out, copy, search around, its entity. */
export function Value({ field, value, children, className }: { field: string; value: string; children?: ReactNode; className?: string | undefined }) {
  const open = useContext(MenuContext);
  return (
    <button
      type="button"
      className={`${css.value} ${className ?? ""}`}
      aria-haspopup="menu"
      title={`${field}: ${visible(value.length > 400 ? `${value.slice(0, 400)}…` : value)}`}
      onClick={(event) => {
        event.stopPropagation();
        open({ field, value, rect: event.currentTarget.getBoundingClientRect(), from: event.currentTarget });
      }}
    >
      {children ?? <Raw text={value} />}
    </button>
  );
}

/** One menu for all values below. */
export function ValueMenu({ children }: { children: ReactNode }) {
  const t = useText("parts");
  const filter = useContext(FilterContext);
  const navigate = useNavigate();
  const [asked, setAsked] = useState<Asked>();
  const [opened, setOpened] = useState(false);
  const open = useMemo(
    () => (next: Asked) => {
      setAsked(next);
      setOpened(true);
    },
    [],
  );
  const go = (to: string, query: Record<string, string>) => void navigate({ to, search: query as never });
  const short = asked ? visible(asked.value.length > 60 ? `${asked.value.slice(0, 60)}…` : asked.value) : "";
  return (
    <MenuContext value={open}>
      {children}
      <Menu opened={opened} onChange={setOpened} onClose={() => asked?.from.focus()} position="bottom-start" width={280} returnFocus={false}>
        <Menu.Target>
          <button type="button" tabIndex={-1} aria-label={t("more")} className={css.anchor} style={asked ? { left: asked.rect.left, top: asked.rect.top, width: Math.min(asked.rect.width, 280), height: asked.rect.height } : undefined} />
        </Menu.Target>
        {asked ? (
          <Menu.Dropdown onClick={(e) => e.stopPropagation()}>
            <Menu.Label className={css.label}>
              {asked.field} <span className="mono">{short}</span>
            </Menu.Label>
            {filter ? (
              <>
                <Menu.Item leftSection={<IconFilter size={14} />} onClick={() => filter(asked.field, asked.value, false)}>
                  {t("filterIn")}
                </Menu.Item>
                <Menu.Item leftSection={<IconFilterOff size={14} />} onClick={() => filter(asked.field, asked.value, true)}>
                  {t("filterOut")}
                </Menu.Item>
              </>
            ) : null}
            <Menu.Item leftSection={<IconSearch size={14} />} onClick={() => go("/search", { q: term(asked.field, asked.value) })}>
              {t("searchAround")}
            </Menu.Item>
            <Menu.Item leftSection={<IconBell size={14} />} onClick={() => go("/alerts", { entity: asked.value, status: "any" })}>
              {t("alertsWith")}
            </Menu.Item>
            {entityLinks(asked.field, asked.value).map((link) => (
              <Menu.Item key={link.to} leftSection={<IconExternalLink size={14} />} onClick={() => go(link.to, link.query)}>
                {t(link.label)}
              </Menu.Item>
            ))}
            <Menu.Item
              leftSection={<IconCopy size={14} />}
              onClick={() => {
                void copy(asked.value).then((done) => done && toast(t("copied")));
              }}
            >
              {t("copy")}
            </Menu.Item>
          </Menu.Dropdown>
        ) : null}
      </Menu>
    </MenuContext>
  );
}
