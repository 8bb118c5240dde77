// Package queue is the durable log between the doors and the pipeline, on NATS
// JetStream: embedded in the process, or a cluster, by the same client. What
// Append has answered is on disk. It never looks into records.
package queue
