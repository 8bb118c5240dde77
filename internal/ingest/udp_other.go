//go:build !linux

package ingest

import "net"

// prepareUDP asks for a large receive buffer.
func prepareUDP(conn *net.UDPConn) error { return conn.SetReadBuffer(udpReadBuffer) }

// overflow knows nothing: only Linux tells how many datagrams did not fit.
func overflow([]byte) (total uint32, ok bool) { return 0, false }
