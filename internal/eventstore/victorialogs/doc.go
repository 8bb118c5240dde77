// Package victorialogs keeps events in VictoriaLogs storage nodes: one as a
// child process of the same binary, or several stock ones. It is the only
// package that knows VictoriaLogs. User text never becomes LogsQL; what the
// engine cannot answer exactly is asked for as a superset and decided here by
// query.Node.Match.
//
// # How an event becomes a row
//
// The row's time is the event's. Its stream is (source, program), never more,
// because the engine pays for each stream. Its columns:
//
//	_msg    the field message, if there is exactly one and it ends the raw text
//	        or the input is JSON; else the raw text
//	_head   what stands before message in the raw text
//	_kind   "m": _msg is message and the whole raw text; "r": _msg is the raw
//	        text and no message; "t": _msg is a copy of the first of several
//	        messages, and raw is not kept (JSON); none: _msg is message, and raw
//	        is _head + _msg or not kept (JSON)
//	_id     the event's id
//	_at     when it arrived, microseconds
//	name    the value of a field with one value
//	name\2  the values of a field with several, as a list
//	_over   names and values of the fields that are no columns, as a list
//
// A list is its elements, each behind a \2 and with one more \2 at the end; \2
// and \3 inside are escaped by \3. Fields are no columns when their name would
// hide another column, is too long for the engine, or is one of too many names
// of a stream, of which the engine drops whole rows.
//
// The engine rewrites values that look like numbers; Mark keeps them. An empty
// value is none to the engine and is marked too. The fields that the schema
// calls numeric have only canonical integers in their column; anything else
// goes into the list, so that ranges are right.
package victorialogs
