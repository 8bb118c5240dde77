import { createTheme, Checkbox, Menu, Modal, Popover, Select, Tooltip } from "@mantine/core";

// Colours are CSS variables in theme.css: MantineProvider would otherwise write a
// <style> element, which the server's content policy refuses.
export const theme = createTheme({
  primaryColor: "blue",
  fontFamily: "var(--font)",
  fontFamilyMonospace: "var(--font-mono)",
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    // No key may fall into a dialog that is fading. Locking the page's scroll writes a <style> element too; the frame does not scroll.
    Modal: Modal.extend({
      defaultProps: { lockScroll: false, centered: true, transitionProps: { duration: 0 }, overlayProps: { backgroundOpacity: 0.4 } },
    }),
    Menu: Menu.extend({ defaultProps: { transitionProps: { duration: 0 }, shadow: "md", withinPortal: true } }),
    Popover: Popover.extend({ defaultProps: { transitionProps: { duration: 0 }, shadow: "md" } }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 350, transitionProps: { duration: 80 }, events: { hover: true, focus: true, touch: false } } }),
    Select: Select.extend({ defaultProps: { comboboxProps: { transitionProps: { duration: 0 }, shadow: "md" }, checkIconPosition: "right", allowDeselect: false } }),
    Checkbox: Checkbox.extend({ defaultProps: { size: "xs" } }),
  },
});
