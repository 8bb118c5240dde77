//go:build !linux && !windows

package source

func hostKinds() map[string]kind { return nil }
