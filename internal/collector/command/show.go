package command

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector"
)

// show prints a status for people.
func show(out io.Writer, s *collector.Status) error {
	now := time.Now()
	fmt.Fprintf(out, "collector  %s on %s, version %s, %s\n", s.ID, s.Host, s.Version, s.State)
	fmt.Fprintf(out, "server     %s, heartbeat %s, acknowledged %s\n", s.Server, ago(now, s.LastHeartbeat), ago(now, s.LastAck))
	fmt.Fprintf(out, "spool      %d records, %s of %s, oldest %s\n", s.SpoolRecords, size(s.SpoolBytes), size(s.SpoolLimit), ago(now, s.OldestSpooled))
	fmt.Fprintf(out, "process    %.1f %% CPU, %s memory, clock %+.3f s\n", s.CPUPercent, size(s.MemoryBytes), s.ClockOffset)
	fmt.Fprintf(out, "identity   until %s\n", s.CertificateEnd.Format(time.RFC3339))
	if s.ConfigRevision != "" {
		fmt.Fprintf(out, "pushed     revision %s\n", s.ConfigRevision)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(out, "problem    %s\n", p)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tTYPE\tRECORDS\tPER SECOND\tFILTERED\tDROPPED\tERRORS\tLAST RECORD\tLAST ERROR")
	for _, r := range s.Sources {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.1f\t%d\t%d\t%d\t%s\t%s\n", r.Name, r.Type, r.Records, r.Rate, r.Filtered, r.Dropped, r.Errors, ago(now, r.LastRecord), r.LastError)
	}
	return w.Flush()
}

func ago(now time.Time, t *time.Time) string {
	if t == nil {
		return "never"
	}
	return now.Sub(*t).Round(time.Second).String() + " ago"
}

func size(n int64) string {
	const unit = 1024
	f := float64(n)
	for _, name := range []string{"B", "KiB", "MiB"} {
		if f < unit {
			return fmt.Sprintf("%.4g %s", f, name)
		}
		f /= unit
	}
	return fmt.Sprintf("%.4g GiB", f)
}
