// Package demo holds the recording that `kyra demo` replays: one day of a small
// estate of our own making, with an attack in its last hours. The lines are
// generated from fixed templates and a fixed seed, so that a recording is the
// same at every call but for its times, and every address is one reserved for
// documentation. It only makes lines: it sends, parses and detects nothing.
package demo

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// Day is how long a recording lasts.
const Day = 24 * time.Hour

// A Line is one log line as the estate's hosts would send it.
type Line struct {
	Time   time.Time // when it was written; the text has it in whole seconds
	Source string    // hint for the parser, always "linux": each line bears a syslog header that tells the rest
	Text   string    // without a line end
}

// A Stage is one step of the attack.
type Stage struct {
	Name   string        // what the attacker does, in a few words
	Before time.Duration // how long before the end of the recording it begins
	Rules  []string      // titles of the built-in rules that must see it
	play   func(*tape)
}

// Stages returns the steps of the attack in the order of their times.
func Stages() []Stage {
	return []Stage{
		{"Ports of the public addresses are scanned", 5 * time.Hour, []string{"TCP SYN Scan Detection", "SSH Service Probed"}, playPortScan},
		{"The shop is searched for forgotten files and weaknesses", 4*time.Hour + 45*time.Minute, []string{"Web Attack Tool", "Web Content Guessed", "Sensitive Files Sought on the Web Server"}, playWebSearch},
		{"Passwords of the bastion host are guessed", 4*time.Hour + 20*time.Minute, []string{"Brute Force Authentication Attempt", "SSH Password Spraying", "SSH Logins for Accounts That Do Not Exist"}, playGuessing},
		{"One password fits, and a tool limited by sudo opens a shell of root", 4 * time.Hour, []string{"SSH Login After Repeated Failures", "SSH Password Login From the Internet", "Shell Escape From a Program Run Through sudo", "Password Hashes Read Through sudo"}, playSudo},
		{"An account with the rights of root is made, with a key and a scheduled job", 3*time.Hour + 40*time.Minute, []string{"Account Added to a Privileged Group", "SSH Key Planted Through sudo", "Scheduled Job Planted Through sudo", "Scheduled Job Runs From the Network or a Temporary Folder"}, playPersistence},
		{"The inner network is looked over and entered", 3*time.Hour + 10*time.Minute, []string{"Network Scanner Run Through sudo", "Internal Host Reaches for Many Others", "Remote Login With a Password on the Command Line"}, playMovement},
		{"The shop is broken into and a web shell is left there", 2*time.Hour + 30*time.Minute, []string{"SQL Injection in a Web Request", "Path Traversal or File Inclusion in a Web Request", "Script Called in an Upload Folder", "Web Shell Command"}, playWebShell},
		{"The web server calls the attacker", 2 * time.Hour, []string{"Command Run as root by the Web Service Account", "Outgoing Connection to a Port That Remote Control Tools Use", "Internal Host Keeps Trying a Blocked Outside Address", "Crontab Changed by a Service Account"}, playCallHome},
		{"Logs and traces are removed", 80 * time.Minute, []string{"Audit or Logging Service Stopped Through sudo", "Log Files Removed or Emptied Through sudo", "Shell History Cleared Through sudo", "Host Firewall Disabled Through sudo"}, playTampering},
		{"Customer data leaves through the web server", 50 * time.Minute, []string{"Data Packed in a Web or Temporary Folder Through sudo", "Database Dump or Backup Downloaded From the Web Server", "Very Large Web Response"}, playTheft},
	}
}

// Recording returns the lines of the day and of the attack in the order of their
// times, all within the 24 hours before end.
func Recording(end time.Time) iter.Seq[Line] {
	t := newTape(end)
	ordinaryDay(t)
	for _, s := range Stages() {
		t.at(Day - s.Before)
		s.play(t)
	}
	return t.lines()
}

// Ordinary returns what Recording does without the attack: a day on which
// nothing happens.
func Ordinary(end time.Time) iter.Seq[Line] {
	t := newTape(end)
	ordinaryDay(t)
	return t.lines()
}

// lines returns what was recorded, sorted by time.
func (t *tape) lines() iter.Seq[Line] {
	slices.SortStableFunc(t.recorded, func(a, b Line) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return slices.Values(t.recorded)
}
