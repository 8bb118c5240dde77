package app

import (
	"os"
	"path/filepath"
	"testing"
)

// Encryption counts only where all that lies below a device is encrypted.
func TestEncryptionOfDevices(t *testing.T) {
	dir := t.TempDir()
	device := func(name, uuid string, below ...string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Join(path, "slaves"), 0o700); err != nil {
			t.Fatal(err)
		}
		if uuid != "" {
			if err := os.MkdirAll(filepath.Join(path, "dm"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(path, "dm", "uuid"), []byte(uuid), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range below {
			if err := os.Symlink(filepath.Join(dir, b), filepath.Join(path, "slaves", b)); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	plain := device("sda1", "")
	luks := device("dm-0", "CRYPT-LUKS2-0123456789abcdef-root\n", "sda1")
	volume := device("dm-1", "LVM-abc", "dm-0")
	mirror := device("md0", "", "dm-0", "sda1")
	device("loop", "", "loop")
	for path, want := range map[string]string{plain: "", luks: "dm-crypt LUKS2", volume: "dm-crypt LUKS2", mirror: "", filepath.Join(dir, "loop"): "", filepath.Join(dir, "none"): ""} {
		if got := cryptOf(path, 8); got != want {
			t.Errorf("%s: %q, want %q", filepath.Base(path), got, want)
		}
	}
	if total, err := totalBytes(dir); err != nil || total == 0 {
		t.Error(total, err)
	}
	if encrypted, how := encryptedDisk(filepath.Join(dir, "none")); encrypted || how == "" {
		t.Error(encrypted, how)
	}
}

func TestLocalAddresses(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:8080": true, "0.0.0.0:8080": false, "[::]:514": false, ":514": false, "10.0.0.5:80": false, "host.example:80": false, "nonsense": false} {
		if got := local(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestExpiryOfCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := expiryOf(file); err == nil {
		t.Error("a file without a certificate")
	}
	if _, err := expiryOf(file + ".none"); err == nil {
		t.Error("no file")
	}
}
