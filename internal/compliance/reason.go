package compliance

import (
	"strings"
	"time"
)

// A Code names why a control stands as it does.
type Code string

// The codes.
const (
	AllPass               Code = "allPass"
	SomeFail              Code = "someFail"
	AllFail               Code = "allFail"
	Incomplete            Code = "incomplete"    // what has data passes, the rest has none
	HasNoData             Code = "noData"        // no check has data
	NeedsPerson           Code = "needsPerson"   // there is no check
	ReadyToAttest         Code = "readyToAttest" // all checks pass, a person must confirm
	Attested              Code = "attested"
	AttestedWithException Code = "attestedWithException"
	Accepted              Code = "exception" // what does not pass is accepted for a time
	AttestationExpired    Code = "attestationExpired"
	IsNotApplicable       Code = "notApplicable"
)

// A Reason says why a control stands as it does, for people by String and for those who
// word it themselves by its parts.
type Reason struct {
	Code   Code
	Checks []string  // that the code speaks of
	By     string    // who attested
	Until  time.Time // when the attestation ends or ended
	Text   string    // justification of what is not applicable
}

// String is the reason as one English sentence.
func (r Reason) String() string { return r.In("en") }

// In is the reason as one sentence of the language, "ko", "ja" or else English.
func (r Reason) In(language string) string {
	forms := english
	switch language {
	case "ko":
		forms = korean
	case "ja":
		forms = japanese
	}
	return strings.NewReplacer(
		"{checks}", strings.Join(r.Checks, ", "), "{by}", r.By, "{until}", r.Until.UTC().Format(time.DateOnly), "{text}", r.Text,
	).Replace(forms[r.Code])
}

var english = map[Code]string{
	AllPass:               "All checks pass: {checks}",
	SomeFail:              "These do not pass: {checks}",
	AllFail:               "Every check that has data fails: {checks}",
	Incomplete:            "What has data passes, but the evidence is incomplete: no data from {checks}",
	HasNoData:             "No check has data: {checks}",
	NeedsPerson:           "No check can see this: a person must attest",
	ReadyToAttest:         "All checks pass; a person must attest: {checks}",
	Attested:              "Attested by {by} until {until}",
	AttestedWithException: "Attested by {by} until {until}, with an exception for what does not pass",
	Accepted:              "An exception accepts what does not pass: {checks}",
	AttestationExpired:    "The attestation expired on {until}",
	IsNotApplicable:       "Not applicable: {text}",
}

var korean = map[Code]string{
	AllPass:               "모든 점검 통과: {checks}",
	SomeFail:              "통과하지 못한 점검: {checks}",
	AllFail:               "데이터가 있는 모든 점검이 실패: {checks}",
	Incomplete:            "데이터가 있는 점검은 통과했으나 증적이 불완전함. 데이터 없음: {checks}",
	HasNoData:             "데이터가 있는 점검이 없음: {checks}",
	NeedsPerson:           "자동으로 점검할 수 없음: 담당자의 확인이 필요함",
	ReadyToAttest:         "모든 점검 통과, 담당자의 확인이 필요함: {checks}",
	Attested:              "{by}의 확인, {until}까지 유효",
	AttestedWithException: "{by}의 확인, {until}까지 유효, 통과하지 못한 점검에 대한 예외 있음",
	Accepted:              "통과하지 못한 점검을 예외로 승인함: {checks}",
	AttestationExpired:    "확인이 {until}에 만료됨",
	IsNotApplicable:       "해당 없음: {text}",
}

var japanese = map[Code]string{
	AllPass:               "すべての点検に合格: {checks}",
	SomeFail:              "合格していない点検: {checks}",
	AllFail:               "データのある点検がすべて不合格: {checks}",
	Incomplete:            "データのある点検は合格したが、証跡が不完全。データなし: {checks}",
	HasNoData:             "データのある点検がない: {checks}",
	NeedsPerson:           "自動では点検できない: 担当者の確認が必要",
	ReadyToAttest:         "すべての点検に合格、担当者の確認が必要: {checks}",
	Attested:              "{by} が確認、{until} まで有効",
	AttestedWithException: "{by} が確認、{until} まで有効、合格していない点検に例外あり",
	Accepted:              "合格していない点検を例外として承認: {checks}",
	AttestationExpired:    "確認の期限切れ（{until}）",
	IsNotApplicable:       "適用外: {text}",
}
