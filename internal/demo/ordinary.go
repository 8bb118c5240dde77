package demo

import (
	"fmt"
	"time"
)

// ordinaryDay records what happens on a day without an attack.
func ordinaryDay(t *tape) {
	visitors(t)
	crawlers(t)
	healthChecks(t)
	administrators(t)
	deployments(t)
	strayLogins(t)
	scheduledJobs(t)
	services(t)
	firewallNoise(t)
}

// every calls do from the start to the end of the day at intervals from low to
// high. What do does to the clock does not shift the next call.
func (t *tape) every(low, high time.Duration, do func()) {
	t.at(0)
	for {
		t.wait(low, high)
		if t.now >= Day {
			return
		}
		moment := t.now
		do()
		t.at(moment)
	}
}

// An administrator signs in to the bastion host by key and to the others from it.
type administrator struct{ user, from, key string }

func staff() []administrator {
	return []administrator{
		{"mhan", "198.51.100.141", "b3ZlcnRoZWhpbGxzYW5kZmFyYXdheTAx"},
		{"jpark", "198.51.100.142", "c2FpbG9yc2F0c2VhYW5kYmFja2FnYWlu"},
		{"lkeller", "198.51.100.143", "bW9vbmxpZ2h0b250aGVyaXZlcmJhbms0"},
		{"asato", "10.20.9.21", "cmFpbm9udGhlcm9vZm9mdGhlaG91c2Uy"},
	}
}

func administrators(t *tape) {
	chores := map[string][]string{
		bastion: {"/usr/bin/apt update", "/usr/bin/apt list --upgradable", "/usr/bin/systemctl status sshd", "/usr/bin/journalctl -u sshd -n 100", "/usr/bin/last -n 20", "/usr/bin/fail2ban-client status sshd"},
		web:     {"/usr/bin/systemctl reload nginx", "/usr/sbin/nginx -t", "/usr/bin/tail -n 200 /var/log/nginx/error.log", "/usr/bin/systemctl status php8.2-fpm", "/usr/bin/apt upgrade -y", "/usr/bin/du -sh /var/log/nginx", "/usr/bin/vim /etc/nginx/sites-available/shop.conf", "/usr/bin/certbot renew --dry-run"},
		db:      {"/usr/bin/systemctl status postgresql", "/usr/bin/less /var/log/postgresql/postgresql-15-main.log", "/usr/bin/ls -l /var/backups/postgresql", "/usr/bin/df -h", "/usr/sbin/lvs"},
	}
	t.every(20*time.Minute, 50*time.Minute, func() {
		who := pick(t, staff())
		if t.chance(6) { // a typing error now and then; nobody uses passwords twice in a row here
			t.syslog(bastion, "sshd", t.nextPID(), fmt.Sprintf("Failed password for %s from %s port %d ssh2", who.user, who.from, t.port()))
			t.wait(4*time.Second, 9*time.Second)
		}
		outer := t.signIn(bastion, who.user, who.from, "publickey", who.key)
		t.wait(10*time.Second, 40*time.Second)
		host := pick(t, []string{bastion, web, web, db})
		inner := 0
		if host != bastion {
			inner = t.signIn(host, who.user, bastionInner, "publickey", who.key)
			t.wait(5*time.Second, 20*time.Second)
		}
		for range 1 + t.random.IntN(4) {
			t.sudo(host, who.user, "pts/0", "/home/"+who.user, pick(t, chores[host]))
			t.wait(15*time.Second, 3*time.Minute)
		}
		if host != bastion {
			t.signOut(host, who.user, bastionInner, inner)
		}
		t.signOut(bastion, who.user, who.from, outer)
	})
}

// deployments are signed by a key and come from the build host.
func deployments(t *tape) {
	t.every(2*time.Hour, 4*time.Hour, func() {
		for _, host := range []string{web, db} {
			pid := t.signIn(host, "deploy", "10.20.9.40", "publickey", "YnVpbGRob3N0ZGVwbG95bWVudGtleTAx")
			t.wait(2*time.Second, 6*time.Second)
			t.sudo(host, "deploy", "unknown", "/srv/release", "/usr/bin/systemctl restart shop-"+host)
			t.syslog(host, "systemd", 1, fmt.Sprintf("Stopping shop-%s.service - Shop...", host))
			t.syslog(host, "systemd", 1, fmt.Sprintf("Started shop-%s.service - Shop.", host))
			t.wait(2*time.Second, 6*time.Second)
			t.signOut(host, "deploy", "10.20.9.40", pid)
		}
	})
}

// strayLogins are the single tries that every host on the Internet gets.
func strayLogins(t *tape) {
	t.every(6*time.Minute, 15*time.Minute, func() {
		from := stray(t)
		pid := t.nextPID()
		switch t.random.IntN(5) {
		case 0:
			user := pick(t, []string{"admin", "ubuntu", "test", "user", "pi"})
			t.syslog(bastion, "sshd", pid, fmt.Sprintf("Invalid user %s from %s port %d", user, from, t.port()))
			t.syslog(bastion, "sshd", pid, fmt.Sprintf("Connection closed by invalid user %s %s port %d [preauth]", user, from, t.port()))
		case 1:
			t.syslog(bastion, "sshd", pid, "error: kex_exchange_identification: Connection closed by remote host")
			t.syslog(bastion, "sshd", pid, fmt.Sprintf("Connection closed by %s port %d", from, t.port()))
		case 2:
			t.syslog(bastion, "sshd", pid, fmt.Sprintf("Connection reset by %s port %d [preauth]", from, t.port()))
		default:
			t.syslog(bastion, "sshd", pid, fmt.Sprintf("Connection closed by %s port %d [preauth]", from, t.port()))
		}
	})
}

// stray returns an address of the background noise of the Internet.
func stray(t *tape) string { return fmt.Sprintf("203.0.113.%d", 100+t.random.IntN(150)) }

func scheduledJobs(t *tape) {
	job := func(host, user, command string) {
		pid := t.nextPID()
		t.syslog(host, "CRON", pid, fmt.Sprintf("pam_unix(cron:session): session opened for user %s(uid=%d) by (uid=0)", user, uidOf(user)))
		t.syslog(host, "CRON", pid+1, fmt.Sprintf("(%s) CMD (%s)", user, command))
		t.now += 300 * time.Millisecond
		t.syslog(host, "CRON", pid, "pam_unix(cron:session): session closed for user "+user)
	}
	for minute := range int(Day / time.Minute) {
		t.at(time.Duration(minute)*time.Minute + time.Second)
		if minute%10 == 5 {
			for _, host := range []string{bastion, web, db} {
				job(host, "root", "command -v debian-sa1 > /dev/null && debian-sa1 1 1")
			}
		}
		if minute%30 == 9 {
			job(web, "root", "[ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; then /usr/lib/php/sessionclean; fi")
		}
		if minute%15 == 0 {
			job(web, "www-data", "/usr/bin/php /srv/shop/artisan schedule:run")
		}
		if minute%60 == 17 {
			for _, host := range []string{bastion, web, db} {
				job(host, "root", "cd / && run-parts --report /etc/cron.hourly")
			}
		}
		if minute%360 == 130 {
			job(db, "postgres", "/usr/local/bin/pg-backup.sh --to /var/backups/postgresql")
		}
	}
}

func services(t *tape) {
	units := []string{"apt-daily.service - Daily apt download activities", "logrotate.service - Rotate log files", "fstrim.service - Discard unused blocks", "man-db.service - Daily man-db regeneration", "phpsessionclean.service - Clean php session files", "systemd-tmpfiles-clean.service - Cleanup of Temporary Directories", "anacron.service - Run anacron jobs", "fwupd-refresh.service - Refresh fwupd metadata"}
	hosts := []string{bastion, web, db, firewall}
	t.every(3*time.Minute, 7*time.Minute, func() {
		host, unit := pick(t, hosts), pick(t, units)
		t.syslog(host, "systemd", 1, "Starting "+unit+"...")
		t.wait(time.Second, 8*time.Second)
		name, _, _ := cutSpace(unit)
		t.syslog(host, "systemd", 1, name+": Deactivated successfully.")
		t.syslog(host, "systemd", 1, "Finished "+unit+".")
	})
	t.every(4*time.Minute, 9*time.Minute, func() {
		host := pick(t, hosts)
		switch t.random.IntN(4) {
		case 0:
			t.syslog(host, "systemd-timesyncd", 502, "Contacted time server 10.20.0.123:123 (ntp.estate.example).")
		case 1:
			t.syslog(host, "systemd-resolved", 498, "Using degraded feature set UDP instead of UDP+EDNS0 for DNS server "+resolver+".")
		case 2:
			t.syslog(host, "dbus-daemon", 533, "[system] Successfully activated service 'org.freedesktop.hostname1'")
		default:
			t.syslog(host, "rsyslogd", 0, `[origin software="rsyslogd" swVersion="8.2302.0" x-pid="541" x-info="https://www.rsyslog.com"] rsyslogd was HUPed`)
		}
	})
	t.every(5*time.Minute, 12*time.Minute, func() {
		t.syslog(db, "postgres", 2210, fmt.Sprintf("LOG:  checkpoint complete: wrote %d buffers (%d.%d%%); 0 WAL file(s) added, 0 removed, 1 recycled", 20+t.random.IntN(900), t.random.IntN(9), t.random.IntN(9)))
	})
}

// cutSpace cuts s at its first space.
func cutSpace(s string) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func firewallNoise(t *tape) {
	// The Internet knocks at doors that are shut, one packet at a time.
	t.every(6*time.Second, 28*time.Second, func() {
		t.syn("BLOCK", stray(t), pick(t, []string{bastionPublic, webPublic}), pick(t, []int{22, 23, 23, 80, 445, 1433, 2323, 3306, 3389, 5060, 5555, 6379, 8080, 8443, 8728, 9200}))
	})
	// The estate looks up names, asks for the time and fetches packages.
	t.every(20*time.Second, 70*time.Second, func() {
		inner := pick(t, []string{bastionInner, webInner, dbInner})
		p := packet{action: "ALLOW", in: "eth1", out: "eth0", src: inner, srcPort: t.port(), length: 60 + t.random.IntN(30), timeToLive: 63}
		switch t.random.IntN(4) {
		case 0:
			p.dst, p.dstPort, p.udp = "198.51.100.123", 123, true
		case 1:
			p.dst, p.dstPort = "192.0.2.80", 443 // packages
		default:
			p.dst, p.dstPort, p.udp = resolver, 53, true
		}
		t.packet(p)
	})
	// Devices announce themselves.
	t.every(2*time.Minute, 5*time.Minute, func() {
		t.packet(packet{action: "BLOCK", in: "eth1", out: "", src: "10.20.9." + fmt.Sprint(20+t.random.IntN(20)), dst: "224.0.0.251", srcPort: 5353, dstPort: 5353, udp: true, length: 73, timeToLive: 255})
	})
	// The shop asks its database.
	t.every(time.Minute, 3*time.Minute, func() {
		t.packet(packet{action: "ALLOW", in: "eth1", out: "eth2", src: webInner, dst: dbInner, srcPort: t.port(), dstPort: 5432, length: 60, timeToLive: 63})
	})
}
