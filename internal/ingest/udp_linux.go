package ingest

import (
	"encoding/binary"
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// prepareUDP asks for a large receive buffer, and for the kernel's count of the
// datagrams that did not fit into it.
func prepareUDP(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, udpReadBuffer) != nil {
			// Not privileged: as much as the system allows.
			sockErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, udpReadBuffer)
		}
		sockErr = errors.Join(sockErr, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1))
	})
	return errors.Join(err, sockErr)
}

// overflow reads the count of lost datagrams from the control data of one that
// was received. The kernel sends it once there is a loss.
func overflow(control []byte) (total uint32, ok bool) {
	if len(control) == 0 {
		return 0, false
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data), true
		}
	}
	return 0, false
}
