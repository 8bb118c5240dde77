package parse

import "testing"

func FuzzDovecot(f *testing.F) { fuzzOne(f, "dovecot") }
func FuzzExim(f *testing.F)    { fuzzOne(f, "exim") }
func FuzzPostfix(f *testing.F) { fuzzOne(f, "postfix") }
func FuzzSquid(f *testing.F)   { fuzzOne(f, "squid") }
func FuzzW3C(f *testing.F)     { fuzzOne(f, "iis") }
