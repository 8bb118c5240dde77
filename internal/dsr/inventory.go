package dsr

// Places is where KYRA's own records may name a person. A table that can hold a person's
// data is here, or in elsewhere with the reason why it is not; a test looks for tables
// that are in neither.
var Places = []Place{
	{Name: "alerts", Treatment: Pseudonymised, Reason: "the record of the case stays true without the name", Tables: []Table{
		{Name: "alert_entity", Join: "JOIN alert o ON o.seq = x.seq", Tenant: "x.tenant", Object: "o.id", At: "o.created_at", Key: "tenant,value,seq", Columns: []Column{{"value", value}}, Names: true},
		{Name: "alert", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "seq", Columns: []Column{{"title", text}, {"description", text}, {"merge_key", grouped}, {"assigned_to", value}}, stamp: true, after: rewordAlert},
		{Name: "alert_detail", Join: "JOIN alert o ON o.seq = x.seq", Tenant: "o.tenant", Object: "o.id", At: "o.created_at", Key: "seq", Columns: []Column{{"template", text}, {"field_values", document}, {"entities", document}}, Names: true},
		{Name: "alert_storm_entity", Join: "JOIN alert o ON o.seq = x.seq", Tenant: "o.tenant", Object: "o.id", At: "o.created_at", Key: "seq,merge_key", Columns: []Column{{"merge_key", grouped}}, Names: true},
		{Name: "alert_history", Join: "JOIN alert o ON o.seq = x.seq", Tenant: "o.tenant", Object: "o.id", At: "x.at", Key: "id", Columns: []Column{{"old_value", value}, {"new_value", value}, {"note", text}}},
	}},
	{Name: "incidents", Treatment: Pseudonymised, Reason: "the record of the case stays true without the name; the content of evidence files does not change, since its hash proves it", Tables: []Table{
		{Name: "incident_alert", Join: "JOIN incident o ON o.id = x.incident_id JOIN alert a ON a.id = x.alert_id JOIN alert_entity e ON e.seq = a.seq", Tenant: "o.tenant", Object: "o.id", At: "o.created_at", Key: "incident_id,alert_id", Columns: []Column{{"e.value", value}}, Names: true, Hidden: true},
		{Name: "incident", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"title", text}, {"assigned_to", value}}, stamp: true},
		{Name: "incident_comment", Join: "JOIN incident o ON o.id = x.incident_id", Tenant: "o.tenant", Object: "o.id", At: "x.created_at", Key: "id", Columns: []Column{{"content", text}}},
		{Name: "incident_timeline", Join: "JOIN incident o ON o.id = x.incident_id", Tenant: "o.tenant", Object: "o.id", At: "x.at", Key: "id", Columns: []Column{{"old_value", value}, {"new_value", value}, {"note", text}}},
		{Name: "incident_task", Join: "JOIN incident o ON o.id = x.incident_id", Tenant: "o.tenant", Object: "o.id", At: "x.created_at", Key: "id", Columns: []Column{{"title", text}, {"note", text}, {"assigned_to", value}}},
		{Name: "incident_evidence", Join: "JOIN incident o ON o.id = x.incident_id", Tenant: "o.tenant", Object: "o.id", At: "x.added_at", Key: "id", Columns: []Column{{"name", text}, {"note", text}}},
		{Name: "playbook_tag", Tenant: "x.tenant", Object: "x.object", At: "x.at", Key: "tenant,object,tag", Columns: []Column{{"tag", value}}},
	}},
	{Name: "identities", Treatment: Erased, Reason: "the account is seen anew if it is used again", Tables: []Table{
		{Name: "principal_trait", Join: "JOIN principal o ON o.tenant = x.tenant AND o.id = x.principal", Tenant: "x.tenant", Object: "o.id", At: "x.last_at", Key: "tenant,principal,kind,value", Columns: append([]Column{{"value", value}}, account...), Drop: true},
		{Name: "principal_failure", Join: "JOIN principal o ON o.tenant = x.tenant AND o.id = x.principal", Tenant: "x.tenant", Object: "o.id", Key: "tenant,principal,hour", Columns: account, Drop: true},
		{Name: "principal", Tenant: "x.tenant", Object: "x.id", At: "x.last_at", Key: "tenant,id", Columns: []Column{{"word", value}, {"name", value}, {"uid", value}}, Drop: true},
		{Name: "principal", Tenant: "x.tenant", Object: "x.id", At: "x.last_at", Key: "tenant,id", Columns: []Column{{"signin_from", value}, {"signin_host", value}, {"owner", value}, {"tags", document}}},
	}},
	{Name: "assets", Treatment: Pseudonymised, Reason: "a machine is not the person: it no longer says whose it is or was", Tables: []Table{
		{Name: "asset_key", Tenant: "x.tenant", Object: "x.asset", Key: "tenant,word", Columns: []Column{{"word", tagged}}, Drop: true},
		{Name: "asset_trait", Tenant: "x.tenant", Object: "x.asset", At: "x.last_at", Key: "tenant,asset,kind,value", Columns: []Column{{"value", value}}, Drop: true},
		{Name: "asset", Tenant: "x.tenant", Object: "x.id", At: "x.last_at", Key: "tenant,id", Columns: []Column{{"set_name", value}, {"name", value}, {"owner", value}, {"tags", document}, {"notes", text}}},
		{Name: "asset_merge", Tenant: "x.tenant", Object: "x.asset", At: "x.at", Key: "tenant,id", Columns: []Column{{"reason", text}}},
	}},
	{Name: "riskIntelligence", Treatment: Pseudonymised, Reason: "scores are computed from alerts, which keep the pseudonym", Tables: []Table{
		{Name: "risk_contribution", Tenant: "x.tenant", Object: "x.alert", At: "x.at", Key: "tenant,alert,kind,entity", Columns: []Column{{"entity", value}, {"label", value}, {"title", text}}},
		{Name: "risk_explanation", Join: "JOIN risk_entity o ON o.id = x.entity", Tenant: "o.tenant", Object: "o.id", Key: "entity", Columns: []Column{{"parts", document}, {"o.entity", value}}, Names: true},
		{Name: "risk_entity", Tenant: "x.tenant", Object: "x.id", At: "x.last_seen", Key: "id", Unique: "tenant,kind,entity", Columns: []Column{{"entity", value}, {"label", value}, {"notes", text}}, Names: true},
	}},
	{Name: "sightings", Treatment: Pseudonymised, Reason: "that an indicator was seen stays true without the name", Tables: []Table{
		{Name: "intel_sighting", Tenant: "x.tenant", Object: "x.event_id", At: "x.last_at", Key: "tenant,type,value,day,field,entity", Columns: []Column{{"entity", value}}},
	}},
	{Name: "notifications", Treatment: Pseudonymised, Reason: "what has left KYRA is with its receivers", Tables: []Table{
		{Name: "outbox_message", Tenant: "x.tenant", Object: "x.id", About: "x.object", At: "x.at", Key: "id", Columns: []Column{{"title", text}, {"text", text}}},
		{Name: "notice", Tenant: "x.tenant", Object: "x.id", About: "x.object", At: "x.at", Key: "seq", Columns: []Column{{"title", text}, {"text", text}}},
		{Name: "notice_digest", Tenant: "x.tenant", Object: "x.channel_id", At: "x.due_at", Key: "channel_id", Columns: []Column{{"content", document}}},
		{Name: "webhook_delivery", Tenant: "x.tenant", Object: "x.id", About: "x.object", At: "x.created_at", Key: "id", Columns: []Column{{"body", document}, {"answer", text}, {"error", text}}},
	}},
	{Name: "playbookRuns", Treatment: Pseudonymised, Reason: "that a playbook ran and how it ended stays true without the name; runs that are under way change when they have ended", Tables: []Table{
		{Name: "playbook_step", Join: "JOIN playbook_run o ON o.id = x.run_id", Tenant: "o.tenant", Object: "o.id", About: "o.object", At: "x.begun_at", Key: "run_id,place", Columns: []Column{{"input", document}, {"result", document}, {"error", text}, {"note", text}}, And: "o.ended_at IS NOT NULL"},
		{Name: "playbook_run", Tenant: "x.tenant", Object: "x.id", About: "x.object", At: "x.created_at", Key: "id", Columns: []Column{{"reason", text}}, And: "x.ended_at IS NOT NULL"},
	}},
	{Name: "jobs", Treatment: Pseudonymised, Reason: "that a search ran stays true without what it looked for; jobs that are under way change when they have ended", Tables: []Table{
		{Name: "job", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"params", document}, {"result", document}, {"reason", text}, {"note", text}}, And: "x.ended_at IS NOT NULL"},
	}},
	{Name: "subdomains", Treatment: Pseudonymised, Reason: "only notes can name a person", Tables: []Table{
		{Name: "exposure_domain", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"notes", text}}},
		{Name: "exposure_name", Tenant: "x.tenant", Object: "x.id", At: "x.last_seen", Key: "id", Columns: []Column{{"notes", text}}},
	}},
	{Name: "stagedRules", Treatment: Erased, Reason: "a trial counts again", Tables: []Table{
		{Name: "rule_staged_key", Tenant: "x.tenant", Object: "x.rule_id", At: "x.last_at", Key: "tenant,rule_id,merge_key", Columns: []Column{{"merge_key", grouped}}, Drop: true},
	}},
	{Name: "connectors", Treatment: Kept, Reason: "settings that people made: take the person out of the recipients by hand", Tables: []Table{
		{Name: "connector", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"settings", document}}},
		{Name: "notice_channel", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"settings", document}}},
		{Name: "notice_route", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"filters", document}}},
		{Name: "webhook", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"filters", document}}},
	}},
	{Name: "playbooks", Treatment: Kept, Reason: "texts that people wrote: change them by hand", Tables: []Table{
		{Name: "playbook_version", Join: "JOIN playbook o ON o.id = x.playbook_id", Tenant: "o.tenant", Object: "o.id", At: "x.created_at", Key: "playbook_id,number", Columns: []Column{{"text", text}}},
	}},
	{Name: "indicators", Treatment: Kept, Reason: "what is hostile is kept to defend against it (GDPR Article 6(1)(f) and 17(3)(e)); remove one by hand where that does not hold", Tables: []Table{
		{Name: "intel_indicator", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"value", value}, {"tags", document}, {"description", text}}},
		{Name: "intel_allow", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"value", value}, {"reason", text}}},
	}},
	{Name: "exceptions", Treatment: Kept, Reason: "a change would change what is detected: change them by hand", Tables: []Table{
		{Name: "rule_exception", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"scope", document}, {"yaml", text}, {"reason", text}, {"owner", value}}},
		{Name: "value_list", Tenant: "x.tenant", Object: "x.name", At: "x.created_at", Key: "tenant,name", Columns: []Column{{"description", text}, {"entries", document}}},
		{Name: "rule", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "tenant,id", Columns: []Column{{"yaml", text}}},
		{Name: "rule_version", Tenant: "x.tenant", Object: "x.rule_id", At: "x.at", Key: "tenant,rule_id,version", Columns: []Column{{"yaml", text}}},
	}},
	{Name: "logSources", Treatment: Kept, Reason: "a machine that sends is known by its address or name, and its rows end when it no longer sends", Tables: []Table{
		{Name: "log_source", Tenant: "x.tenant", Object: "x.id", At: "x.last_at", Key: "tenant,id", Columns: []Column{{"host", value}}},
		{Name: "log_source_setting", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"definition", document}}},
		{Name: "collector", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", value}, {"hostname", value}}},
		{Name: "masking_rule", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"patterns", document}, {"host", value}}},
	}},
	{Name: "users", Treatment: Kept, Reason: "who works with KYRA is known by their account: an Admin removes it, and with it its sessions and saved views", Tables: []Table{
		{Name: "account_user", Join: "JOIN account_member o ON o.user_id = x.id", Tenant: "o.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"email", value}, {"name", value}}},
		{Name: "scim_user", Tenant: "x.tenant", Object: "x.id", At: "x.changed_at", Key: "tenant,id", Columns: []Column{{"user_name", value}, {"details", document}}},
		{Name: "account_session", Tenant: "x.tenant", Object: "x.user_id", At: "x.seen_at", Key: "id", Columns: []Column{{"address", value}}},
		{Name: "saved_view", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"query", text}}},
	}},
	{Name: "compliance", Treatment: Kept, Reason: "what was found and said about controls proves that laws were kept (GDPR Article 17(3)(b)); notes are changed by hand", Tables: []Table{
		{Name: "compliance_result", Tenant: "x.tenant", Object: "x.variant", At: "x.collected_at", Key: "tenant,variant", Columns: []Column{{"reason", text}, {"resources", document}}},
		{Name: "compliance_change", Tenant: "x.tenant", Object: "x.id", At: "x.at", Key: "id", Columns: []Column{{"reason", text}, {"cause", text}}},
		{Name: "compliance_attestation", Tenant: "x.tenant", Object: "x.id", At: "x.at", Key: "id", Columns: []Column{{"statement", text}, {"reviewer", value}, {"note", text}}},
		{Name: "compliance_exception", Tenant: "x.tenant", Object: "x.id", At: "x.at", Key: "id", Columns: []Column{{"owner", value}, {"reason", text}, {"compensation", text}, {"end_note", text}}},
		{Name: "compliance_control", Tenant: "x.tenant", Object: "x.control", At: "x.updated_at", Key: "tenant,framework,edition,control", Columns: []Column{{"owner", value}, {"justification", text}, {"notes", text}}},
	}},
	{Name: "breachNotices", Treatment: Kept, Reason: "that an authority was told in time proves that laws were kept (GDPR Article 17(3)(b))", Tables: []Table{
		{Name: "incident_clock", Tenant: "x.tenant", Object: "x.incident_id", At: "x.aware_at", Key: "id", Columns: []Column{{"recipient", text}, {"notified_to", text}, {"reason", text}}},
	}},
	{Name: "reports", Treatment: Kept, Reason: "settings that people made: take the person out of the recipients by hand", Tables: []Table{
		{Name: "report", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"settings", document}}},
		{Name: "report_run", Tenant: "x.tenant", Object: "x.id", At: "x.created_at", Key: "id", Columns: []Column{{"name", text}, {"settings", document}}},
	}},
	{Name: "evidence", Treatment: Kept, Reason: "it is redacted before it is kept, proves that laws were kept, and its chain of hashes would break (GDPR Article 17(3)(b))", Tables: []Table{
		{Name: "evidence_record", Tenant: "x.tenant", Object: "x.id", At: "x.collected_at", Key: "tenant,seq", Columns: []Column{{"record", document}}},
	}},
	{Name: "auditLogs", Treatment: Kept, Reason: "who did what is kept as evidence of security and of keeping the law, and its chain of hashes would break for everybody (GDPR Article 5(2) and 17(3)(b), (e))", Tables: []Table{
		{Name: "audit_entry", Tenant: "x.tenant", Object: "x.id", At: "x.at", Key: "tenant,seq", Columns: []Column{{"actor", value}, {"object", value}, {"detail", document}}},
	}},
}

// account is what names the account that a row belongs to.
var account = []Column{{"o.word", value}, {"o.name", value}, {"o.uid", value}}
