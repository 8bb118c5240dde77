import { Modal, Switch } from "@mantine/core";
import { Fragment } from "react";

import { useBindings, useSingleKeys } from "~/keys/keys";
import { useText } from "~/text/text";

import css from "./frame.module.css";

/** Every key that does something on the page that is open. */
export function KeyMap({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const t = useText("frame");
  const bindings = useBindings();
  const [singles, setSingles] = useSingleKeys();
  const groups = [...new Set(bindings.map((b) => b.group))];
  return (
    <Modal opened={opened} onClose={onClose} title={t("keyMap")} size="lg" closeButtonProps={{ "aria-label": t("close") }}>
      <div className={css.map}>
        {groups.map((g) => (
          <section key={g}>
            <h3>{g}</h3>
            <dl>
              {bindings
                .filter((b, i) => b.group === g && bindings.findIndex((o) => o.keys === b.keys && o.group === g) === i)
                .map((b) => (
                  <Fragment key={b.keys}>
                    <dt>
                      {b.keys.split(" ").map((k) => (
                        <kbd key={k}>{k.replace("mod+", /Mac/.test(navigator.platform) ? "⌘ " : "Ctrl ").replace("shift+", "⇧ ")}</kbd>
                      ))}
                    </dt>
                    <dd>{b.label}</dd>
                  </Fragment>
                ))}
            </dl>
          </section>
        ))}
      </div>
      <Switch mt="md" size="sm" label={t("singleKeys")} description={t("singleKeysWhy")} checked={singles} onChange={(e) => setSingles(e.currentTarget.checked)} />
    </Modal>
  );
}
