package queue

// A Chunk is what one sender handed over at one moment: records that share
// their origin. It is the unit that a door appends and that the archive keeps.
type Chunk struct {
	Tenant  uint32 // tenant.Tenant.Number
	Input   string // the door: "http", "syslog-udp", "syslog-tcp", "syslog-tls"
	Peer    string // address of the sender without port, "" where there is none
	Source  string // source hint of the sender or the listener, "" for automatic
	Key     string // id of the API key or collector, "" for plain syslog
	Arrived int64  // nanoseconds since 1970

	// Stream names what of the sender the records were read from, such as the path of a
	// file, so that what the head of one says is not taken for another's. "" for none.
	Stream string

	// Records are the framed inputs, unparsed, in order. Cut marks the indexes
	// of those that were longer than the limit and were cut.
	Records []string
	Cut     []uint32

	// Origin names a sender that numbers its chunks, and Number is this one's: a chunk
	// whose number is not above all before it makes no event. So they are appended in
	// the order of their numbers, and none is cut in two. "" for all other senders.
	Origin string
	Number uint64

	// IDs, where its door knows them, names each record among all of Tenant, Input and
	// Key; "" names none. It is as long as Records, or nil. A second record of an id
	// makes no event.
	IDs []string
}

// Size returns about how many bytes c takes before compression.
func (c *Chunk) Size() int {
	n := 64
	for _, r := range c.Records {
		n += len(r) + 3
	}
	for _, id := range c.IDs {
		n += len(id) + 1
	}
	return n
}

// Placed is a chunk in its message: First is the index of its first record,
// counted over all chunks of the message.
type Placed struct {
	*Chunk
	First uint32

	// Again marks the indexes of records that had come before. Append knows nothing of
	// it: the pipeline finds it out, and the archive keeps it.
	Again []uint32
}
