package parse

import "strings"

// appliance chooses the parser of a network product by the first bytes of the text
// or by a program that only it has.
func (l *line) appliance() (*content, string) {
	reg := &l.p.registry
	if at, facility, _, _, _ := ciscoCode(l.text); at >= 0 {
		if isASA(facility) {
			return reg.asa, "a message number of ASA, FTD or PIX stands in it"
		}
		return reg.ios, "a message number of IOS or NX-OS stands in it"
	}
	switch s := l.text; {
	case isISE(l.program, s):
		return reg.ise, "a category of Cisco ISE or ACS stands in it"
	case isPaloAlto(s):
		return reg.paloAlto, "the text begins as a log of PAN-OS"
	case isSophos(s):
		return reg.sophos, "the text begins with the keys of a Sophos firewall"
	case isSonicWall(strings.TrimLeft(s, " ")):
		return reg.sonicWall, "the text begins with the keys of a SonicWall"
	case isF5(s):
		return reg.f5, "a message number of BIG-IP stands in it"
	case isAruba(s):
		return reg.aruba, "the text has the form of a switch's or ClearPass' messages"
	case l.program == "app" && l.pid == "" && l.pri >= 0 && esaLevel(s):
		l.guessed = true
		return reg.esa, "the text begins with a level as AsyncOS writes it"
	case l.device() != nil:
		return reg.devices, "its program or first words are those of an appliance"
	case isMikroTik(s):
		return reg.mikroTik, "the text begins with RouterOS' topics"
	case isCheckPoint(s):
		return reg.checkPoint, "the text begins as Check Point's Log Exporter writes"
	}
	return nil, ""
}
