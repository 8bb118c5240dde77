package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/kyra-mdr/kyra/internal/collector"
)

const serviceName = "KyraCollector"

func programData() string {
	if dir := os.Getenv("ProgramData"); dir != "" {
		return filepath.Join(dir, "KYRA", "collector")
	}
	return `C:\ProgramData\KYRA\collector`
}

func defaultConfig() string { return filepath.Join(programData(), "collector.yaml") }
func defaultState() string  { return filepath.Join(programData(), "state") }

// serviceFolders allows any folders: the service is told them.
func serviceFolders(collector.Paths) error { return nil }

// installService makes the service for this program and starts it.
func installService(_ context.Context, out io.Writer, p collector.Paths) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	args := []string{"run", "--config", p.Config, "--state", p.State}
	if !strings.Contains(strings.ToLower(filepath.Base(program)), "collector") {
		args = append([]string{"collector"}, args...)
	}
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("reach the service manager, as an administrator: %w", err)
	}
	defer m.Disconnect() //nolint:errcheck // nothing hangs on it
	s, err := m.CreateService(serviceName, program, mgr.Config{
		DisplayName: "KYRA Collector", Description: "Collects logs and sends them to the KYRA server.",
		StartType: mgr.StartAutomatic, DelayedAutoStart: true,
	}, args...)
	if err != nil {
		return fmt.Errorf("make the service: %w", err)
	}
	defer s.Close()
	again := []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: 5 * time.Second}, {Type: mgr.ServiceRestart, Delay: 30 * time.Second}}
	if err := s.SetRecoveryActions(again, 3600); err != nil {
		return fmt.Errorf("set up the service: %w", err)
	}
	if err := s.Start(); err != nil {
		return fmt.Errorf("start the service: %w", err)
	}
	fmt.Fprintln(out, "the service "+serviceName+" runs")
	return nil
}

// removeService stops the service where there is one.
func removeService(ctx context.Context, out io.Writer) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("reach the service manager, as an administrator: %w", err)
	}
	defer m.Disconnect() //nolint:errcheck // nothing hangs on it
	s, err := m.OpenService(serviceName)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the service: %w", err)
	}
	defer s.Close()
	state, err := s.Control(svc.Stop)
	for err == nil && state.State != svc.Stopped && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
		state, err = s.Query()
	}
	if err := s.Delete(); err != nil {
		return fmt.Errorf("remove the service: %w", err)
	}
	fmt.Fprintln(out, "service removed")
	return nil
}

// runAsService runs under the service manager where that started the process. Its
// log goes to a file then: a service has no standard error.
func runAsService(o collector.Options) (bool, error) {
	managed, err := svc.IsWindowsService()
	if err != nil || !managed {
		return false, nil
	}
	if err := os.MkdirAll(o.Paths.State, 0o700); err != nil {
		return true, err
	}
	path := filepath.Join(o.Paths.State, "collector.log")
	if info, err := os.Stat(path); err == nil && info.Size() > 8<<20 {
		_ = os.Rename(path, path+".1") // the log before is enough
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return true, err
	}
	defer log.Close()
	o.Handler = collector.NewLogHandler(log)
	o.Log = slog.New(o.Handler)
	return true, svc.Run(serviceName, &service{o})
}

type service struct{ o collector.Options }

// Execute implements svc.Handler.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, states chan<- svc.Status) (bool, uint32) {
	states <- svc.Status{State: svc.StartPending}
	ctx, stop := context.WithCancel(context.Background()) //nolint:forbidigo // the service manager has no context
	defer stop()
	ended := make(chan error, 1)
	reload := make(chan os.Signal, 1)
	go func() { ended <- collector.Run(ctx, s.o, reload) }()
	const accepts = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptParamChange
	states <- svc.Status{State: svc.Running, Accepts: accepts}
	for {
		select {
		case err := <-ended:
			if err != nil {
				s.o.Log.Error("the collector ended", "error", err)
				return true, 1
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				states <- r.CurrentStatus
			case svc.ParamChange:
				select {
				case reload <- os.Interrupt: // any signal asks for it
				default:
				}
				states <- svc.Status{State: svc.Running, Accepts: accepts}
			case svc.Stop, svc.Shutdown:
				states <- svc.Status{State: svc.StopPending}
				stop()
			default:
			}
		}
	}
}
