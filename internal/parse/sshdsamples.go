package parse

// sshdSamples are lines of every kind that sshd.go knows.
func sshdSamples() []Sample {
	return []Sample{
		{"Dec 10 06:55:48 LabSZ sshd[24200]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2", []string{
			"source=sshd", "host=LabSZ", "program=sshd", "pid=24200", "category=authentication", "action=login", "outcome=failure",
			"reason=invalid user", "user=webmaster", "src_ip=173.234.31.186", "src_port=38926", "auth_method=password", "severity=medium", "event_code=failed_login",
		}},
		{"Dec 10 09:11:18 LabSZ sshd[24437]: Failed password for root from 183.62.140.253 port 38926 ssh2", []string{
			"user=root", "severity=high", "reason=bad password", "outcome=failure", "src_ip=183.62.140.253",
		}},
		{"Dec 10 09:11:18 web sshd[7]: Failed password for invalid user a from 9.9.9.9 port 1 ssh2 from 5.6.7.8 port 22 ssh2", []string{
			"user=a from 9.9.9.9 port 1 ssh2", "src_ip=5.6.7.8", "src_port=22",
		}},
		{"Dec 10 09:11:18 web sshd[7]: Failed none for invalid user  from 5.6.7.8 port 22 ssh2", []string{"user=", "src_ip=5.6.7.8", "auth_method=none"}},
		{"<38>Dec 10 09:32:20 LabSZ sshd[24680]: Accepted password for fztu from 119.137.62.142 port 49116 ssh2", []string{
			"category=authentication", "action=login", "outcome=success", "user=fztu", "src_ip=119.137.62.142", "src_port=49116", "severity=info",
			"syslog_facility=4", "syslog_severity=6", "level=info",
		}},
		{"<38>1 2026-03-04T05:06:07.5Z web1 sshd-session 1571 - - Accepted publickey for deploy from 2001:db8::7 port 50022 ssh2: ED25519 SHA256:YWJjZGVm", []string{
			"source=sshd", "program=sshd-session", "auth_method=publickey", "user=deploy", "src_ip=2001:db8::7", "key_fingerprint=SHA256:YWJjZGVm", "time_quality=exact",
		}},
		{"Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster from 173.234.31.186", []string{
			"outcome=failure", "reason=invalid user", "user=webmaster", "src_ip=173.234.31.186", "event_code=invalid_user",
		}},
		{"Dec 10 06:55:46 web sshd-auth[4]: Invalid user  from ::ffff:1.2.3.4 port 4711", []string{"source=sshd", "user=", "src_ip=1.2.3.4", "src_port=4711"}},
		{"Dec 10 06:55:46 web sshd[4]: error: PAM: Authentication failure for root from scanner.example.net", []string{
			"outcome=failure", "user=root", "src_host=scanner.example.net", "event_code=pam_failure", "severity=high",
		}},
		{"Dec 10 06:55:46 web sshd[4]: error: maximum authentication attempts exceeded for invalid user admin from 1.2.3.4 port 51000 ssh2 [preauth]", []string{
			"event_code=max_attempts", "user=admin", "src_ip=1.2.3.4", "outcome=failure",
		}},
		{"Dec 10 06:55:46 web sshd[4]: Connection closed by authenticating user root 1.2.3.4 port 51000 [preauth]", []string{
			"category=network", "action=disconnect", "outcome=failure", "user=root", "src_ip=1.2.3.4", "src_port=51000",
		}},
		{"Dec 10 06:55:46 web sshd[4]: Connection reset by 1.2.3.4 port 51000 [preauth]", []string{"action=disconnect", "src_ip=1.2.3.4"}},
		{"Dec 10 06:55:46 web sshd[4]: Disconnected from user alice 1.2.3.4 port 51000", []string{"category=session", "action=session_close", "user=alice"}},
		{"Dec 10 06:55:46 web sshd[4]: Disconnected from invalid user bob 1.2.3.4 port 51000 [preauth]", []string{"action=disconnect", "outcome=failure", "user=bob"}},
		{"Dec 10 06:55:46 web sshd[4]: Received disconnect from 1.2.3.4 port 51000:11: Bye Bye [preauth]", []string{"action=disconnect", "src_port=51000", "reason=Bye Bye"}},
		{"Dec 10 06:55:46 web sshd[4]: Received disconnect from 202.100.179.208: 11: Bye Bye [preauth]", []string{"src_ip=202.100.179.208", "reason=Bye Bye"}},
		{"Dec 10 06:55:46 web sshd[4]: User mail from 1.2.3.4 not allowed because not listed in AllowUsers", []string{
			"outcome=failure", "user=mail", "src_ip=1.2.3.4", "reason=not listed in AllowUsers",
		}},
		{"Dec 10 06:55:46 web sshd[4]: Did not receive identification string from 1.2.3.4 port 60006", []string{"category=network", "src_ip=1.2.3.4", "event_code=bad_protocol", "severity=low"}},
		{"Dec 10 06:55:46 web sshd[4]: banner exchange: Connection from 1.2.3.4 port 60006: invalid format", []string{"src_ip=1.2.3.4", "src_port=60006"}},
		{"Dec 10 06:55:46 web sshd[4]: Unable to negotiate with 1.2.3.4 port 60006: no matching key exchange method found. Their offer: x [preauth]", []string{"event_code=negotiation_failed", "src_ip=1.2.3.4"}},
		{"Dec 10 06:55:46 web sshd[4]: Bad protocol version identification '\\003' from 1.2.3.4 port 60006", []string{"event_code=bad_protocol", "src_ip=1.2.3.4"}},
		{"Dec 10 06:55:46 LabSZ sshd[24200]: reverse mapping checking getaddrinfo for ns.example.com [173.234.31.186] failed - POSSIBLE BREAK-IN ATTEMPT!", []string{
			"event_code=reverse_mapping", "src_ip=173.234.31.186", "src_host=ns.example.com", "severity=info",
		}},
		{"Dec 10 06:55:46 web sshd[4]: Starting session: shell on pts/0 for alice from 1.2.3.4 port 51000 id 0", []string{"category=session", "action=session_open", "user=alice", "tty=pts/0", "session_type=shell"}},
		{"Dec 10 06:55:46 web sshd[4]: subsystem request for sftp by user alice", []string{"category=session", "user=alice", "subsystem=sftp"}},
		{"Dec 10 06:55:46 web sshd[4]: Disconnecting authenticating user root 1.2.3.4 port 51000: Too many authentication failures [preauth]", []string{"user=root", "src_ip=1.2.3.4", "event_code=too_many_failures"}},
		{"Dec 10 06:55:46 web sshd[4]: Disconnecting: Too many authentication failures for root [preauth]", []string{"user=root", "event_code=too_many_failures"}},
		{"Dec 10 09:12:00 LabSZ sshd[5]: message repeated 5 times: [ Failed password for root from 5.36.59.76 port 42393 ssh2]", []string{
			"count=5", "user=root", "src_ip=5.36.59.76", "outcome=failure", "source=sshd", "pid=5",
		}},
		{"Dec 10 06:55:46 web sshd[4]: Server listening on 0.0.0.0 port 22.", []string{"source=sshd", "message=Server listening on 0.0.0.0 port 22.", "severity=info"}},
	}
}
