/** What KYRA tells of: the names in webhooks, routes and preferences. forms.json names them for people. */
export const told = [
  "alert.created",
  "alert.updated",
  "incident.created",
  "incident.updated",
  "incident.overdue",
  "collector.disconnected",
  "collector.connected",
  "canary",
  "playbook.notice",
  "playbook.asks",
  "webhook.disabled",
  "channel.disabled",
  "connector.disabled",
  "connector.unhealthy",
  "dsr.dueSoon",
  "dsr.overdue",
] as const;
