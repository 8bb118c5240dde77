package collector

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// Others may neither read what is kept here nor add to it.
func TestMakePrivate(t *testing.T) {
	above := filepath.Join(t.TempDir(), "above")
	dir := filepath.Join(above, "state")
	for range 2 {
		if err := makePrivate(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{above, dir, filepath.Join(dir, "key")} {
		sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
		if err != nil {
			t.Fatal(err)
		}
		text := sd.String()
		t.Log(text)
		for _, others := range []string{";WD)", ";BU)", ";AU)", ";IU)", ";CO)"} {
			if strings.Contains(text, others) {
				t.Errorf("%s lets others in: %s", path, text)
			}
		}
		if !strings.Contains(text, ";SY)") {
			t.Errorf("%s keeps the service out: %s", path, text)
		}
	}
}

// Status and reload come through a pipe.
func TestControlPipe(t *testing.T) {
	p := Paths{State: t.TempDir()}
	if _, err := dialControl(t.Context(), p); err == nil {
		t.Fatal("somebody answers")
	}
	ln, err := listenControl(p)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "here")
		_ = c.Close()
	}()
	c, err := dialControl(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if text, err := io.ReadAll(c); err != nil || string(text) != "here" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestMachineID(t *testing.T) {
	if machineID() == "" {
		t.Error("this system has no id")
	}
}
