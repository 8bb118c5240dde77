package parse

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// shortJSON are records of about 300 bytes as servers, web servers and cloud
// services write them.
var shortJSON = []string{
	`{"@timestamp":"2026-11-25T05:06:07.250Z","host":"web1","program":"sshd","pid":"24200","PRIORITY":"6","facility":"auth","message":"Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2","_SYSTEMD_UNIT":"ssh.service","_UID":"0","_GID":"0","_TRANSPORT":"syslog","_BOOT_ID":"9f2c"}`,
	`{"time_iso8601":"2026-11-25T05:06:07+00:00","remote_addr":"203.0.113.9","remote_user":"","request":"GET /shop/item?id=7 HTTP/1.1","status":"200","body_bytes_sent":"5316","request_time":"0.004","http_referrer":"https://e.org/","http_user_agent":"Mozilla/5.0 (X11; Linux x86_64)","http_host":"e.org","ssl":"TLSv1.3"}`,
	`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::1:user/pedro","userName":"pedro"},"eventTime":"2026-11-25T05:06:07Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.9","userAgent":"aws-cli/2.1","recipientAccountId":"1"}`,
	`{"actor":{"id":"00u1","type":"User","alternateId":"bob@example.com"},"client":{"ipAddress":"203.0.113.9","zone":"null"},"displayMessage":"User login to Okta","eventType":"user.session.start","outcome":{"result":"SUCCESS"},"published":"2026-11-25T05:06:07.123Z","severity":"INFO","uuid":"4a1f","version":"0"}`,
	`{"ts":"2026-11-25T05:06:07.250Z","level":"warn","logger":"api","msg":"slow query","service":"orders","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","duration_ms":1250,"rows":42,"db":{"name":"shop","statement":"select * from items where id = $1"},"ok":true,"user":{"id":"77"}}`,
}

// windowsRecords are the recorded Windows events, and of them those that tell of
// a new process.
func windowsRecords(tb testing.TB) (all, processes []string) {
	tb.Helper()
	files, err := filepath.Glob(sharedData(tb, "otrf") + "/[cepr]*.ndjson.gz")
	if err != nil || len(files) == 0 {
		tb.Fatal(files, err)
	}
	for _, file := range files {
		if strings.Contains(file, "ec2_") {
			continue
		}
		for _, raw := range unzip(tb, file) {
			all = append(all, raw)
			if strings.Contains(raw, `"EventID":4688,`) || strings.Contains(raw, `"EventID":1,`) {
				processes = append(processes, raw)
			}
		}
	}
	return all, processes
}

// BenchmarkJSON reads real and usual records, and counts by processor time: on a
// machine that others use too, the clock says little.
func BenchmarkJSON(b *testing.B) {
	all, processes := windowsRecords(b)
	for _, set := range []struct {
		name  string
		lines []string
	}{{"windows", all}, {"process", processes}, {"short", shortJSON}} {
		b.Run(set.name, func(b *testing.B) {
			p := New(Options{})
			var e event.Event
			size, n := 0, 0
			b.ReportAllocs()
			start := cpuSeconds(b)
			for b.Loop() {
				raw := set.lines[n%len(set.lines)]
				size += len(raw)
				n++
				p.Parse(&Record{Raw: raw, Arrived: arrival}, &e)
			}
			used := cpuSeconds(b) - start
			b.ReportMetric(float64(n)/used, "events/cpu-s")
			b.ReportMetric(used/float64(n)*1e9, "cpu-ns/op")
			b.ReportMetric(float64(size)/float64(n), "B/record")
		})
	}
}

func cpuSeconds(tb testing.TB) float64 {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
