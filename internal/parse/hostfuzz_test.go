package parse

import "testing"

func FuzzDovecot(f *testing.F) { fuzzOne(f, "dovecot") }
func FuzzExim(f *testing.F)    { fuzzOne(f, "exim") }
func FuzzPostfix(f *testing.F) { fuzzOne(f, "postfix") }
func FuzzSquid(f *testing.F)   { fuzzOne(f, "squid") }
func FuzzW3C(f *testing.F)     { fuzzOne(f, "iis") }
func FuzzBind(f *testing.F)    { fuzzOne(f, "bind") }
func FuzzDHCP(f *testing.F)    { fuzzOne(f, "dhcp") }
func FuzzDnsmasq(f *testing.F) { fuzzOne(f, "dnsmasq") }
func FuzzSnort(f *testing.F)   { fuzzOne(f, "snort") }
func FuzzUnbound(f *testing.F) { fuzzOne(f, "unbound") }
func FuzzVPCFlow(f *testing.F) { fuzzOne(f, "aws_vpcflow") }
func FuzzWindows(f *testing.F) { fuzzOne(f, "windows") }
func FuzzZeek(f *testing.F)    { fuzzOne(f, "zeek") }
