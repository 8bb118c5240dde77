//go:build !windows

package command

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/kyra-mdr/kyra/internal/collector"
)

func defaultConfig() string { return "/etc/kyra-collector/collector.yaml" }
func defaultState() string  { return "/var/lib/kyra-collector" }

//go:embed kyra-collector.service
var unit string

const (
	unitPath    = "/etc/systemd/system/kyra-collector.service"
	serviceName = "kyra-collector.service"
)

// serviceFolders refuses folders that the service does not use.
func serviceFolders(p collector.Paths) error {
	if p.Config != defaultConfig() || p.State != defaultState() {
		return errors.New("the service uses the usual folders: leave out --dir, --config and --state")
	}
	return nil
}

// installService writes the systemd unit for this program and starts it.
func installService(ctx context.Context, out io.Writer, p collector.Paths) error {
	if err := serviceFolders(p); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	command := program + " run"
	if !strings.HasSuffix(program, "kyra-collector") {
		command = program + " collector run"
	}
	text := strings.Replace(unit, "ExecStart=/usr/bin/kyra-collector run", "ExecStart="+command, 1)
	if err := os.WriteFile(unitPath, []byte(text), 0o644); err != nil { //nolint:gosec // units are for everybody to read
		return fmt.Errorf("write the unit: %w", err)
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "--now", serviceName}} {
		if text, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(text)))
		}
	}
	fmt.Fprintln(out, "the service runs: systemctl status "+serviceName)
	return nil
}

// removeService stops the service where there is one.
func removeService(ctx context.Context, out io.Writer) error {
	if _, err := os.Stat(unitPath); err != nil {
		return nil //nolint:nilerr // none was installed
	}
	if text, err := exec.CommandContext(ctx, "systemctl", "disable", "--now", serviceName).CombinedOutput(); err != nil {
		return fmt.Errorf("stop the service: %w: %s", err, strings.TrimSpace(string(text)))
	}
	if err := os.Remove(unitPath); err != nil {
		return fmt.Errorf("remove the service: %w", err)
	}
	fmt.Fprintln(out, "service removed")
	return nil
}

// runAsService is for Windows.
func runAsService(collector.Options) (bool, error) { return false, nil }
