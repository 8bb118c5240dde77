//go:build !linux

package app

import "errors"

func totalBytes(string) (uint64, error) {
	return 0, errors.New("the size of a disk is not looked at on this system")
}

func encryptedDisk(string) (bool, string) {
	return false, "encryption of disks is not looked at on this system"
}
