package event

// The canonical field names. Doc comments give meaning and values where the
// name alone does not.
const (
	Timestamp      = "timestamp"       // event time, RFC 3339, UTC: Event.Time carries it, no field does
	IngestTime     = "ingest_time"     // arrival: Event.Arrived carries it, no field does
	EventID        = "id"              // Event.ID carries it, no field does
	OriginalTime   = "original_time"   // event time, RFC 3339, of an event tagged time_moved
	TimeQuality    = "time_quality"    // exact, tz_assumed, year_assumed, received
	Source         = "source"          // product short name: sshd, nginx, cisco_asa, windows_security
	Dataset        = "dataset"         // part of a source: nginx.access
	Vendor         = "vendor"          // maker
	Product        = "product"         // product
	Host           = "host"            // the machine the event is about or that reported it: name, else address
	HostIP         = "host_ip"         // its address, if known
	PeerIP         = "peer_ip"         // who sent it to us
	CollectorID    = "collector_id"    // the collector or token that it came through
	Program        = "program"         // syslog app name without pid, path and (pam_unix)
	PID            = "pid"             // process number
	Severity       = "severity"        // critical, high, medium, low, info
	Level          = "level"           // as the source says
	SyslogFacility = "syslog_facility" // number, RFC 5424 6.2.1
	SyslogSeverity = "syslog_severity" // number, RFC 5424 6.2.1
	Message        = "message"         // text without the transport's header
	RawText        = "raw"             // the exact input: Event.Raw carries it, no field does
	Category       = "category"        // authentication, session, iam, process, file, registry, network, web, dns, database, configuration, malware, intrusion_detection, host
	Action         = "action"          // login, logout, sudo, su, allow, deny, drop, request, query, process_start, account_create, …
	Outcome        = "outcome"         // success, failure, unknown
	Reason         = "reason"          // bad password, invalid user, policy
	EventCode      = "event_code"      // 4625, 302013, …
	Count          = "count"           // how many happenings one record stands for, when more than one
	User           = "user"            // the account the event is about: login the account tried; sudo, API, process the actor
	UserDomain     = "user_domain"
	UserID         = "user_id"
	TargetUser     = "target_user"  // the account acted on
	RelatedUser    = "related_user" // every account named, multi-valued
	RelatedIP      = "related_ip"   // every address named, multi-valued
	RelatedHost    = "related_host" // every host named, multi-valued
	AuthMethod     = "auth_method"  // password, publickey, gssapi, mfa
	SessionID      = "session_id"
	SrcIP          = "src_ip" // initiator
	SrcPort        = "src_port"
	SrcHost        = "src_host"
	SrcMAC         = "src_mac"
	SrcBytes       = "src_bytes"
	SrcUser        = "src_user" // the account on the initiating side
	DstIP          = "dst_ip"   // responder
	DstPort        = "dst_port"
	DstHost        = "dst_host"
	DstMAC         = "dst_mac"
	DstBytes       = "dst_bytes"
	SrcNATIP       = "src_nat_ip"
	DstNATIP       = "dst_nat_ip"
	Proto          = "proto"     // tcp, udp, icmp, lower case
	AppProto       = "app_proto" // http, tls, dns, …
	Direction      = "direction" // inbound, outbound
	InIface        = "in_iface"
	OutIface       = "out_iface"
	TCPFlags       = "tcp_flags" // SYN, ACK, …, as the source writes them, multi-valued by a space
	RuleID         = "rule_id"   // firewall policy or IDS signature
	RuleName       = "rule_name"
	RuleCategory   = "rule_category"
	HTTPMethod     = "http_method"
	HTTPStatus     = "http_status"
	HTTPVersion    = "http_version"
	URL            = "url"
	URLPath        = "url_path"
	URLQuery       = "url_query"
	Domain         = "domain"
	UserAgent      = "user_agent"
	Referrer       = "referrer"
	DNSQuery       = "dns_query"
	DNSType        = "dns_type"
	DNSAnswer      = "dns_answer"
	ProcessPath    = "process_path"
	Cmdline        = "cmdline"
	CWD            = "cwd"
	ParentPath     = "parent_path"
	ParentCmdline  = "parent_cmdline"
	ProcessGUID    = "process_guid"
	TTY            = "tty"
	Group          = "group"
	FilePath       = "file_path"
	HashSHA256     = "hash_sha256"
	HashMD5        = "hash_md5"
	RegistryPath   = "registry_path"
	RegistryValue  = "registry_value"
	TLSSNI         = "tls_sni"
	JA3            = "ja3"
	CloudProvider  = "cloud_provider"
	CloudAccount   = "cloud_account"
	CloudRegion    = "cloud_region"
	CloudService   = "cloud_service"
	Tags           = "tags" // see the Tag constants

	ParseErrorReason = "parse_error_reason" // why an event is quarantined: one of package parse's Reasons
	ParseErrorAt     = "parse_error_at"     // byte of the record where it broke, from 0
	ParseErrorInput  = "parse_error_input"  // the door that it came by: settings may be chosen by it
)

// Values of Tags.
const (
	TagParseError            = "parse_error"             // it claims a format that it breaks: kept whole, see ParseErrorReason
	TagTruncated             = "truncated"               // longer than the limit: cut
	TagInvalidUTF8           = "invalid_utf8"            // bytes that are no UTF-8 were replaced
	TagTimeMoved             = "time_moved"              // too many different days are stored: kept under its arrival, see OriginalTime
	TagFutureTime            = "future_time"             // event time far ahead of arrival
	TagFieldsCut             = "fields_cut"              // more fields than the store takes: the rest is in one
	TagTruncatedForDetection = "truncated_for_detection" // a value is longer than rules look at
	TagDetectionCut          = "detection_cut"           // it would have made too much work: not all rules were asked
)

var canonical = map[string]bool{
	Timestamp:      true,
	IngestTime:     true,
	EventID:        true,
	OriginalTime:   true,
	TimeQuality:    true,
	Source:         true,
	Dataset:        true,
	Vendor:         true,
	Product:        true,
	Host:           true,
	HostIP:         true,
	PeerIP:         true,
	CollectorID:    true,
	Program:        true,
	PID:            true,
	Severity:       true,
	Level:          true,
	SyslogFacility: true,
	SyslogSeverity: true,
	Message:        true,
	RawText:        true,
	Category:       true,
	Action:         true,
	Outcome:        true,
	Reason:         true,
	EventCode:      true,
	Count:          true,
	User:           true,
	UserDomain:     true,
	UserID:         true,
	TargetUser:     true,
	RelatedUser:    true,
	RelatedIP:      true,
	RelatedHost:    true,
	AuthMethod:     true,
	SessionID:      true,
	SrcIP:          true,
	SrcPort:        true,
	SrcHost:        true,
	SrcMAC:         true,
	SrcBytes:       true,
	SrcUser:        true,
	DstIP:          true,
	DstPort:        true,
	DstHost:        true,
	DstMAC:         true,
	DstBytes:       true,
	SrcNATIP:       true,
	DstNATIP:       true,
	Proto:          true,
	AppProto:       true,
	Direction:      true,
	InIface:        true,
	OutIface:       true,
	TCPFlags:       true,
	RuleID:         true,
	RuleName:       true,
	RuleCategory:   true,
	HTTPMethod:     true,
	HTTPStatus:     true,
	HTTPVersion:    true,
	URL:            true,
	URLPath:        true,
	URLQuery:       true,
	Domain:         true,
	UserAgent:      true,
	Referrer:       true,
	DNSQuery:       true,
	DNSType:        true,
	DNSAnswer:      true,
	ProcessPath:    true,
	Cmdline:        true,
	CWD:            true,
	ParentPath:     true,
	ParentCmdline:  true,
	ProcessGUID:    true,
	TTY:            true,
	Group:          true,
	FilePath:       true,
	HashSHA256:     true,
	HashMD5:        true,
	RegistryPath:   true,
	RegistryValue:  true,
	TLSSNI:         true,
	JA3:            true,
	CloudProvider:  true,
	CloudAccount:   true,
	CloudRegion:    true,
	CloudService:   true,
	Tags:           true,

	ParseErrorReason: true,
	ParseErrorAt:     true,
	ParseErrorInput:  true,
}

// IsCanonical tells whether name is one of KYRA's own field names.
func IsCanonical(name string) bool { return canonical[name] }

var numeric = map[string]bool{
	PID:            true,
	SyslogFacility: true,
	SyslogSeverity: true,
	SrcPort:        true,
	DstPort:        true,
	SrcBytes:       true,
	DstBytes:       true,
	HTTPStatus:     true,
	Count:          true,
	ParseErrorAt:   true,
}

// Numeric tells whether the named canonical field holds integers, so that
// ranges compare by value.
func Numeric(name string) bool { return numeric[name] }

var address = map[string]bool{
	SrcIP:     true,
	DstIP:     true,
	HostIP:    true,
	PeerIP:    true,
	SrcNATIP:  true,
	DstNATIP:  true,
	RelatedIP: true,
}

// Address tells whether the named canonical field holds IP addresses.
func Address(name string) bool { return address[name] }

// aliases: ECS and common short spellings that queries and inputs may use.
var aliases = map[string]string{
	"@timestamp":                      Timestamp,
	"event.ingested":                  IngestTime,
	"event.module":                    Source,
	"event.dataset":                   Dataset,
	"observer.vendor":                 Vendor,
	"observer.product":                Product,
	"host.name":                       Host,
	"host.ip":                         HostIP,
	"log.source.address":              PeerIP,
	"agent.id":                        CollectorID,
	"log.syslog.appname":              Program,
	"process.pid":                     PID,
	"log.level":                       Level,
	"log.syslog.facility.code":        SyslogFacility,
	"log.syslog.severity.code":        SyslogSeverity,
	"event.original":                  RawText,
	"event.category":                  Category,
	"event.action":                    Action,
	"event.outcome":                   Outcome,
	"event.reason":                    Reason,
	"event.code":                      EventCode,
	"user.name":                       User,
	"user.domain":                     UserDomain,
	"user.id":                         UserID,
	"user.target.name":                TargetUser,
	"related.user":                    RelatedUser,
	"related.ip":                      RelatedIP,
	"related.hosts":                   RelatedHost,
	"source.ip":                       SrcIP,
	"source.port":                     SrcPort,
	"source.domain":                   SrcHost,
	"source.mac":                      SrcMAC,
	"source.bytes":                    SrcBytes,
	"source.user.name":                SrcUser,
	"destination.ip":                  DstIP,
	"destination.port":                DstPort,
	"destination.domain":              DstHost,
	"destination.mac":                 DstMAC,
	"destination.bytes":               DstBytes,
	"source.nat.ip":                   SrcNATIP,
	"destination.nat.ip":              DstNATIP,
	"network.transport":               Proto,
	"network.protocol":                AppProto,
	"network.direction":               Direction,
	"observer.ingress.interface.name": InIface,
	"observer.egress.interface.name":  OutIface,
	"rule.id":                         RuleID,
	"rule.name":                       RuleName,
	"rule.category":                   RuleCategory,
	"http.request.method":             HTTPMethod,
	"http.response.status_code":       HTTPStatus,
	"http.version":                    HTTPVersion,
	"url.original":                    URL,
	"url.path":                        URLPath,
	"url.query":                       URLQuery,
	"url.domain":                      Domain,
	"user_agent.original":             UserAgent,
	"http.request.referrer":           Referrer,
	"dns.question.name":               DNSQuery,
	"dns.question.type":               DNSType,
	"dns.answers.data":                DNSAnswer,
	"process.executable":              ProcessPath,
	"process.command_line":            Cmdline,
	"process.working_directory":       CWD,
	"process.parent.executable":       ParentPath,
	"process.parent.command_line":     ParentCmdline,
	"process.entity_id":               ProcessGUID,
	"process.tty.name":                TTY,
	"group.name":                      Group,
	"file.path":                       FilePath,
	"file.hash.sha256":                HashSHA256,
	"file.hash.md5":                   HashMD5,
	"registry.path":                   RegistryPath,
	"registry.data.strings":           RegistryValue,
	"tls.client.server_name":          TLSSNI,
	"tls.client.ja3":                  JA3,
	"cloud.provider":                  CloudProvider,
	"cloud.account.id":                CloudAccount,
	"cloud.region":                    CloudRegion,
	"cloud.service.name":              CloudService,
	"srcip":                           SrcIP,
	"dstip":                           DstIP,
	"cmd":                             Cmdline,
	"ua":                              UserAgent,
	"status":                          HTTPStatus,
	"uri":                             URL,
	"hostname":                        Host,
	"process":                         ProcessPath,
	"event_id":                        EventCode,
	"process.name":                    Program,
	"host.hostname":                   Host,
	"event.severity_label":            Severity,
	"network.application":             AppProto,
	"user.target":                     TargetUser,
}

// Resolve returns the canonical name for an alias, or name itself.
func Resolve(name string) string {
	if c, ok := aliases[name]; ok {
		return c
	}
	return name
}

// Severities lists the five severities, the gravest first.
var Severities = []string{"critical", "high", "medium", "low", "info"}

// SeverityRank returns 5 for critical down to 1 for info, and 0 for anything else.
func SeverityRank(s string) int {
	for i, name := range Severities {
		if s == name {
			return len(Severities) - i
		}
	}
	return 0
}
