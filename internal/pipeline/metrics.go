package pipeline

import "github.com/VictoriaMetrics/metrics"

// Metrics counts what the pipeline did since the process began.
type Metrics struct {
	Processed         *metrics.Counter   // events taken from the queue
	Stored            *metrics.Counter   // events that the store answered for
	Replayed          *metrics.Counter   // events that a replay found stored already
	Findings          *metrics.Counter   // events that findings count
	Resent            *metrics.Counter   // records that came again and made no event
	ForgottenIDs      *metrics.Counter   // ids of records that gave way to newer ones before their term
	FindingsRefused   *metrics.Counter   // findings that the database refused: each is in the log
	Unreadable        *metrics.Counter   // messages that no Append wrote
	Quarantined       *metrics.Counter   // events that claim a format and break it
	Moved             *metrics.Counter   // events kept under their arrival, since too many different days are stored
	Panics            *metrics.Counter   // events that made a parser or the engine panic
	Restarts          *metrics.Counter   // times that a worker began again from its checkpoint
	CheckpointSeconds *metrics.Histogram // duration of one checkpoint
}

// NewMetrics registers the counters in set.
func NewMetrics(set *metrics.Set) *Metrics {
	return &Metrics{
		Processed:         set.NewCounter("kyra_pipeline_events_total"),
		Stored:            set.NewCounter("kyra_pipeline_stored_events_total"),
		Replayed:          set.NewCounter("kyra_pipeline_replayed_events_total"),
		Findings:          set.NewCounter("kyra_pipeline_findings_total"),
		Resent:            set.NewCounter(`kyra_pipeline_dropped_records_total{policy="` + policyResend + `"}`),
		ForgottenIDs:      set.NewCounter("kyra_pipeline_forgotten_ids_total"),
		FindingsRefused:   set.NewCounter("kyra_pipeline_findings_refused_total"),
		Unreadable:        set.NewCounter("kyra_pipeline_unreadable_messages_total"),
		Quarantined:       set.NewCounter("kyra_pipeline_quarantined_events_total"),
		Moved:             set.NewCounter("kyra_pipeline_moved_events_total"),
		Panics:            set.NewCounter("kyra_pipeline_panics_total"),
		Restarts:          set.NewCounter("kyra_pipeline_restarts_total"),
		CheckpointSeconds: set.NewHistogram("kyra_pipeline_checkpoint_seconds"),
	}
}
