// Pages that axe and the screenshots look at: a name, an address, and what to do first.
export const pages = [
  { name: "overview", path: "/" },
  { name: "alerts", path: "/alerts" },
  { name: "alert-panel", path: "/alerts", act: async (page) => {
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.locator("article h2").waitFor();
  } },
  { name: "incidents-board", path: "/incidents?view=board" },
  { name: "incidents-table", path: "/incidents?view=table" },
  { name: "incident", path: "/incidents?view=board", act: async (page) => {
    await page.locator("[data-card] a").first().click();
    await page.getByRole("textbox", { name: "Comment" }).waitFor();
  } },
  { name: "search", path: "/search" },
  { name: "search-open", path: "/search?q=program:sshd", act: async (page) => {
    await page.locator('[role="row"][aria-rowindex="3"]').click();
  } },
  { name: "rules", path: "/rules" },
  { name: "rule-new", path: "/rules/new" },
  { name: "rule", path: "/rules?health=ok", act: async (page) => {
    await page.locator('[role="row"][aria-rowindex="2"]').click();
    await page.getByRole("tab", { name: "Versions" }).waitFor();
  } },
  { name: "coverage", path: "/rules/coverage" },
  { name: "palette", path: "/alerts", act: async (page) => {
    await page.keyboard.press("Control+k");
    await page.keyboard.type("root");
    await page.getByRole("option").filter({ hasText: "root" }).first().waitFor();
  } },
  { name: "keyboard", path: "/alerts", act: async (page) => {
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
  } },
  { name: "assets", path: "/assets" },
  { name: "identities", path: "/identities" },
  { name: "exposure", path: "/exposure" },
  { name: "intelligence", path: "/intelligence" },
  { name: "risk", path: "/risk" },
  { name: "feeds", path: "/intelligence?tab=feeds" },
  { name: "domains", path: "/exposure?tab=domains" },
  { name: "compliance", path: "/compliance" },
  { name: "compliance-control", path: "/compliance/framework/ISMSP?open=2.9.4" },
  { name: "compliance-evidence", path: "/compliance/evidence" },
  { name: "playbooks", path: "/playbooks" },
  { name: "playbook", path: "/playbooks", act: async (page) => {
    await page.locator('[role="row"][aria-rowindex="2"]').click();
    await page.locator("ol li").first().waitFor();
  } },
  { name: "playbook-runs", path: "/playbooks?tab=runs" },
  { name: "connectors", path: "/connectors" },
  { name: "notifications", path: "/notifications" },
  { name: "channels", path: "/notifications?tab=channels" },
  { name: "privacy", path: "/privacy" },
  { name: "reports", path: "/reports" },
  { name: "audit", path: "/audit-logs" },
  { name: "sources", path: "/sources" },
  { name: "log-sources", path: "/sources?tab=logs" },
  { name: "ledger", path: "/sources?tab=ledger" },
  { name: "parser", path: "/sources?tab=parse" },
  { name: "settings", path: "/settings" },
  { name: "settings-security", path: "/settings/security" },
  { name: "settings-team", path: "/settings/team" },
  { name: "settings-sso", path: "/settings/sso" },
  { name: "settings-sso-provider", path: "/settings/sso", act: async (page) => {
    await page.getByRole("button", { name: "New identity provider" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Add a row" }).click();
  } },
  { name: "settings-passkey", path: "/settings/security", act: (page) => page.getByRole("button", { name: "Add a passkey" }).click() },
  { name: "settings-keys", path: "/settings/keys" },
  { name: "settings-webhooks", path: "/settings/webhooks" },
  { name: "settings-masking", path: "/settings/masking" },
  { name: "settings-notifications", path: "/settings/notifications" },
  { name: "settings-compliance", path: "/settings/compliance" },
  { name: "settings-retention", path: "/settings/retention" },
  { name: "settings-plan", path: "/settings/plan" },
  { name: "settings-demo", path: "/settings/demo" },
  { name: "jobs", path: "/jobs" },
  { name: "reading", path: "/sources?tab=logs&search=sshd", act: async (page) => {
    await page.locator('[role="row"][aria-rowindex="2"]').click();
    await page.getByRole("button", { name: "New setting" }).click();
    await page.getByRole("dialog").waitFor();
  } },
  { name: "tenants", path: "/tenants" },
  { name: "tenants-list", path: "/tenants?tab=tenants" },
];
