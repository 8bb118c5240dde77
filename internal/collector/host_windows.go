package collector

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// makePrivate makes a folder and those above it, and lets nobody but the system,
// administrators and this user look into it, or into what it made above it, or change
// them. What lies in ProgramData can otherwise be read by every user, who may also add
// files: a key would be known, and a source that runs a command would run it as the system.
func makePrivate(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	made := ""
	for above := dir; above != filepath.Dir(above); above = filepath.Dir(above) {
		if _, err := os.Stat(above); err == nil {
			break
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		made = above
	}
	me, err := thisUser()
	if err != nil {
		return fmt.Errorf("find out who this is: %w", err)
	}
	if made != "" {
		if err := os.MkdirAll(made, 0o700); err != nil {
			return err
		}
		if err := onlyFor(made, me); err != nil { // before anything is in it, which inherits this
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := checkOwners(dir, me); err != nil {
		return err
	}
	return onlyFor(dir, me)
}

func onlyFor(dir string, me *windows.SID) error {
	sd, err := windows.SecurityDescriptorFromString("D:P" + everything("OICI", "FA", me))
	if err != nil {
		return fmt.Errorf("who may open %s: %w", dir, err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("who may open %s: %w", dir, err)
	}
	err = windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		return fmt.Errorf("keep others out of %s: %w", dir, err)
	}
	return nil
}

// everything grants rights to the system, administrators and a user, in the language of
// security descriptors.
func everything(flags, rights string, user *windows.SID) string {
	var all strings.Builder
	for _, who := range []string{"SY", "BA", user.String()} {
		fmt.Fprintf(&all, "(A;%s;%s;;;%s)", flags, rights, who)
	}
	return all.String()
}

// trustedInstaller owns what Windows itself has installed, such as the drive's root.
const trustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"

// checkOwners refuses a folder, whose path is whole, that somebody else made beforehand, or that lies in such a
// one: owners may always let themselves in.
func checkOwners(dir string, me *windows.SID) error {
	for {
		sd, err := windows.GetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
		if err != nil {
			return fmt.Errorf("see whose %s is: %w", dir, err)
		}
		owner, _, err := sd.Owner()
		if err != nil {
			return fmt.Errorf("see whose %s is: %w", dir, err)
		}
		trusted := owner.Equals(me) || owner.IsWellKnown(windows.WinLocalSystemSid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) || owner.String() == trustedInstaller
		if !trusted {
			name, domain, _, err := owner.LookupAccount("")
			if err != nil {
				name, domain = owner.String(), "?"
			}
			return fmt.Errorf(`%s belongs to %s\%s, who could read the key and change what is run: remove the folder, or name another (--dir)`, dir, domain, name)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

func thisUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	return user.User.Sid, nil
}

// makeSettings makes a folder for settings as makePrivate does; one that is there already
// is somebody's, and left as it is.
func makeSettings(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return makePrivate(dir)
}

// machineID is the system's own id, "" where it has none.
func machineID() string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return "" // the copy of a machine then goes unnoticed
	}
	defer key.Close()
	id, _, err := key.GetStringValue("MachineGuid")
	if err != nil {
		return ""
	}
	return id
}

// pipe is the name of the pipe that status and reload come through: Windows has sockets
// in files since 2019 only.
func (p Paths) pipe() string {
	dir, err := filepath.Abs(p.State)
	if err != nil {
		dir = p.State
	}
	sum := sha256.Sum256([]byte(strings.ToLower(dir)))
	return fmt.Sprintf(`\\.\pipe\kyra-collector-%x`, sum[:8])
}

// listenControl opens the pipe that status and reload come through, for the system,
// administrators and this user.
func listenControl(p Paths) (net.Listener, error) {
	me, err := thisUser()
	if err != nil {
		return nil, err
	}
	return winio.ListenPipe(p.pipe(), &winio.PipeConfig{SecurityDescriptor: "D:P" + everything("", "GA", me)})
}

func dialControl(ctx context.Context, p Paths) (net.Conn, error) {
	return winio.DialPipeContext(ctx, p.pipe())
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user) != nil {
		return 0
	}
	span := func(f windows.Filetime) time.Duration {
		return time.Duration(uint64(f.HighDateTime)<<32|uint64(f.LowDateTime)) * 100
	}
	return span(kernel) + span(user)
}
