package source

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/windows"
)

func hostKinds() map[string]kind { return map[string]kind{"wineventlog": of(newWinEventLog)} }

func newWinEventLog(s *winEventLogSpec, _ Env) (Source, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return &winEventLog{s}, nil
}

// winEventLog follows channels of the Windows event log. The mark of a channel is a
// bookmark behind its last event, as the system writes it.
type winEventLog struct{ spec *winEventLogSpec }

// Run implements Source.
func (w *winEventLog) Run(ctx context.Context, out Output) error {
	var all errgroup.Group
	for _, name := range w.spec.Channels {
		all.Go(func() error { // a channel that is missing does not keep the others
			for wait := 5 * time.Second; ; wait = min(2*wait, 5*time.Minute) {
				err := w.follow(ctx, out, name)
				if ctx.Err() != nil {
					return nil
				}
				out.Fault(fmt.Errorf("channel %s: %w", name, err))
				if !pause(ctx, wait) {
					return nil
				}
			}
		})
	}
	return all.Wait()
}

var (
	wevtapi           = windows.NewLazySystemDLL("wevtapi.dll")
	evtSubscribe      = wevtapi.NewProc("EvtSubscribe")
	evtNext           = wevtapi.NewProc("EvtNext")
	evtRender         = wevtapi.NewProc("EvtRender")
	evtCreateBookmark = wevtapi.NewProc("EvtCreateBookmark")
	evtUpdateBookmark = wevtapi.NewProc("EvtUpdateBookmark")
	evtClose          = wevtapi.NewProc("EvtClose")
)

const (
	renderEventXML = 1
	renderBookmark = 2
	eventsAtOnce   = 64
)

// follow reads a channel from behind its bookmark until ctx is done.
func (w *winEventLog) follow(ctx context.Context, out Output, channel string) error {
	bookmark := out.Marks()[channel]
	signal, err := windows.CreateEvent(nil, 1, 1, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(signal) //nolint:errcheck // nothing hangs on it
	mark, err := newBookmark(bookmark)
	if err != nil {
		return err
	}
	defer closeEvent(mark)
	flags, after := w.spec.from(bookmark), uintptr(0)
	if flags == subscribeAfterBookmark {
		after = mark
	}
	path, err := windows.UTF16PtrFromString(channel)
	if err != nil {
		return err
	}
	query, err := windows.UTF16PtrFromString(w.spec.Query)
	if err != nil {
		return err
	}
	subscription, _, err := evtSubscribe.Call(0, uintptr(signal), uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(query)), after, 0, 0, uintptr(flags))
	if subscription == 0 {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer closeEvent(subscription)
	for ctx.Err() == nil {
		state, err := windows.WaitForSingleObject(signal, 500)
		if err != nil {
			return err
		}
		if state != windows.WAIT_OBJECT_0 {
			continue
		}
		if err := windows.ResetEvent(signal); err != nil {
			return err
		}
		for more := true; more && ctx.Err() == nil; {
			if more, err = w.next(ctx, out, channel, subscription, mark); err != nil {
				return err
			}
		}
	}
	return nil
}

// next puts the next events of a subscription, and reports false where there are none.
func (w *winEventLog) next(ctx context.Context, out Output, channel string, subscription, mark uintptr) (bool, error) {
	var events [eventsAtOnce]uintptr
	var n uint32
	ok, _, err := evtNext.Call(subscription, eventsAtOnce, uintptr(unsafe.Pointer(&events[0])), 0, 0, uintptr(unsafe.Pointer(&n)))
	if ok == 0 {
		if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) || errors.Is(err, windows.ERROR_TIMEOUT) {
			return false, nil
		}
		return false, fmt.Errorf("read events: %w", err)
	}
	defer func() {
		for _, e := range events[:n] {
			closeEvent(e)
		}
	}()
	var texts []string
	for _, e := range events[:n] {
		text, err := render(e, renderEventXML)
		if err != nil {
			out.Fault(fmt.Errorf("channel %s: %w", channel, err))
			continue
		}
		texts = append(texts, text)
		if ok, _, err := evtUpdateBookmark.Call(mark, e); ok == 0 {
			return false, fmt.Errorf("move the bookmark: %w", err)
		}
	}
	text, err := render(mark, renderBookmark)
	if err != nil {
		return false, err
	}
	return true, out.Put(ctx, w.spec.events(channel, texts, text))
}

func newBookmark(text string) (uintptr, error) {
	var from *uint16
	if text != "" {
		var err error
		if from, err = windows.UTF16PtrFromString(text); err != nil {
			return 0, err
		}
	}
	h, _, err := evtCreateBookmark.Call(uintptr(unsafe.Pointer(from)))
	if h == 0 {
		return 0, fmt.Errorf("make a bookmark: %w", err)
	}
	return h, nil
}

func closeEvent(h uintptr) { _, _, _ = evtClose.Call(h) }

// render returns an event or a bookmark as XML.
func render(h, form uintptr) (string, error) {
	buf := make([]uint16, 4096)
	for {
		var used, properties uint32
		ok, _, err := evtRender.Call(0, h, form, uintptr(2*len(buf)), uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&used)), uintptr(unsafe.Pointer(&properties)))
		if ok != 0 {
			return wideText(buf), nil
		}
		if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) || int(used) <= 2*len(buf) || used > 8<<20 {
			return "", fmt.Errorf("render: %w", err)
		}
		buf = make([]uint16, used/2+1)
	}
}
