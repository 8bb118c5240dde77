package ingest

import (
	"testing"
	"time"
)

// FuzzFrames gives anything to each framer of the doors in turn, which first says.
func FuzzFrames(f *testing.F) {
	f.Add(uint8(0), []byte(gelf("a")), uint8(0))
	f.Add(uint8(0), gzipped([]byte(gelf("a"))), uint8(2))
	f.Add(uint8(0), zlibbed([]byte(gelf("a"))), uint8(3))
	f.Add(uint8(0), []byte("\x1e\x0f12345678\x00\x02x"), uint8(0))
	f.Add(uint8(1), []byte("__CURSOR=s=1\nMESSAGE=a\n\n"+journalBinary("MESSAGE", "two\nlines")+"\n"), uint8(0))
	f.Add(uint8(1), []byte("A=1\nA=2\n\nB\n\x09\x00\x00\x00\x00\x00\x00\x00abc"), uint8(0))
	f.Add(uint8(2), []byte(relpOpen+relpMessage(2, "<13>a")+"3 close 0\n"), uint8(0))
	f.Add(uint8(2), []byte("1 syslog 999999 x"), uint8(0))
	f.Add(uint8(2), []byte("1 syslog 0 \n2 rsp 6 200 OK\n"), uint8(0))
	f.Add(uint8(3), []byte(grpcFrame(0, otlpProto(pbLen(5, pbLen(1, "hello"))))), uint8(0))
	f.Add(uint8(3), []byte(grpcFrame(1, string(gzipped([]byte("hello"))))), uint8(1))
	f.Fuzz(func(t *testing.T, framer uint8, in []byte, n uint8) {
		switch framer % 4 {
		case 0:
			checkGELF(t, in, n)
		case 1:
			checkJournald(t, in)
		case 2:
			checkRELP(t, in)
		case 3:
			checkOTLPCall(t, string(in), [...]string{"", "gzip", "identity", "br"}[n%4])
		}
	})
}

// FuzzBodies gives anything to each reader of a protocol's bodies in turn, which first
// says.
func FuzzBodies(f *testing.F) {
	f.Add(uint8(0), []byte(`{"streams":[{"stream":{"a":"b"},"values":[["1795421812594000001","x",{"c":"d"}]]}]}`))
	f.Add(uint8(0), []byte(` {"streams" : [ {"values":[[]]}, 7, [] ] }`))
	f.Add(uint8(1), []byte(pbLen(1, pbLen(1, `{job="a", host="w"}`)+lokiProtoEntry(time.Now().UnixNano(), "x", "pod", "p"))))
	f.Add(uint8(2), []byte(`{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"intValue":"1"}}]},"scopeLogs":[{"scope":{"name":"x"},"logRecords":[{"timeUnixNano":"1","body":{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{"values":[{"doubleValue":1.5}]}}}]}}}]}]}]}`))
	f.Add(uint8(3), []byte(otlpProto(pbFixed64(1, 1)+pbLen(5, pbLen(6, pbLen(1, otlpKV("user", pbLen(5, pbLen(1, pbInt(2, 1)))))))+pbLen(6, otlpKV("d", pbFixed64(4, 1))))))
	f.Add(uint8(4), []byte(`{"a":[1,"b\"",{"c":null}],"d":{} , "e" : "\\" }`))
	f.Fuzz(func(t *testing.T, reader uint8, body []byte) {
		switch reader % 5 {
		case 0, 1:
			checkLoki(t, body, reader%5 == 0)
		case 2, 3:
			checkOTLP(t, body, reader%5 == 2)
		case 4:
			checkJSONWalk(t, body)
		}
	})
}
