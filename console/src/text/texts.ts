/** Every file of texts, by the name that useText takes: one line for each. */
export type Texts = {
  frame: typeof import("./en/frame.json");
  words: typeof import("./en/words.json");
  parts: typeof import("./en/parts.json");
  signin: typeof import("./en/signin.json");
  alerts: typeof import("./en/alerts.json");
  incidents: typeof import("./en/incidents.json");
  search: typeof import("./en/search.json");
  rules: typeof import("./en/rules.json");
  overview: typeof import("./en/overview.json");
  forms: typeof import("./en/forms.json");
  settings: typeof import("./en/settings.json");
  assets: typeof import("./en/assets.json");
  identities: typeof import("./en/identities.json");
  exposure: typeof import("./en/exposure.json");
  intelligence: typeof import("./en/intelligence.json");
  risk: typeof import("./en/risk.json");
  compliance: typeof import("./en/compliance.json");
  audit: typeof import("./en/audit.json");
  connectors: typeof import("./en/connectors.json");
  notifications: typeof import("./en/notifications.json");
  playbooks: typeof import("./en/playbooks.json");
  reports: typeof import("./en/reports.json");
  privacy: typeof import("./en/privacy.json");
  invitation: typeof import("./en/invitation.json");
  sources: typeof import("./en/sources.json");
};
