package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/report/paper"
)

// s chooses between the English and the Korean wording.
func (l Language) s(en, ko string) string {
	if l == Korean {
		return ko
	}
	return en
}

// f is s with values.
func (l Language) f(en, ko string, args ...any) string { return fmt.Sprintf(l.s(en, ko), args...) }

// title is the one in the language where there is one.
func (l Language) title(en, ko string) string {
	if l == Korean && ko != "" {
		return ko
	}
	return en
}

func (l Language) status(s compliance.Status) string {
	switch s {
	case compliance.Compliant:
		return l.s("Compliant", "적합")
	case compliance.Partial:
		return l.s("Partial", "부분 적합")
	case compliance.NonCompliant:
		return l.s("Non-compliant", "부적합")
	case compliance.NotApplicable:
		return l.s("Not applicable", "해당 없음")
	}
	return l.s("Not assessed", "미평가")
}

func markOf(s compliance.Status) paper.Mark {
	switch s {
	case compliance.Compliant:
		return paper.Good
	case compliance.Partial:
		return paper.Middling
	case compliance.NonCompliant:
		return paper.Bad
	case compliance.NotApplicable:
		return paper.Outside
	}
	return paper.Unknown
}

func (l Language) outcome(o compliance.Outcome) string {
	switch o {
	case compliance.Pass:
		return l.s("Pass", "통과")
	case compliance.Partly:
		return l.s("Partial", "일부 통과")
	case compliance.Fail:
		return l.s("Fail", "실패")
	}
	return l.s("No data", "데이터 없음")
}

func markOfOutcome(o compliance.Outcome) paper.Mark {
	switch o {
	case compliance.Pass:
		return paper.Good
	case compliance.Partly:
		return paper.Middling
	case compliance.Fail:
		return paper.Bad
	}
	return paper.Unknown
}

func (l Language) mode(m compliance.Mode) string {
	switch m {
	case compliance.Auto:
		return l.s("automatic", "자동 점검")
	case compliance.Assist:
		return l.s("checks and person", "점검 후 담당자 확인")
	}
	return l.s("person", "담당자 확인")
}

func (l Language) profile(p compliance.Profile) string {
	if p == compliance.Core {
		return l.s("core (what telemetry can speak about)", "핵심 (로그로 확인 가능한 통제)")
	}
	return l.s("full (every control)", "전체 (모든 통제)")
}

// day is a date in the reader's zone.
func day(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(zone).Format(time.DateOnly)
}

// moment is a time in UTC, and in the reader's zone where that is another.
func moment(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "–"
	}
	const form = "2006-01-02 15:04"
	out := t.UTC().Format(form) + " UTC"
	local := t.In(zone)
	if _, off := local.Zone(); off != 0 {
		out += " (" + local.Format(form+" -07:00") + ")"
	}
	return out
}

// minute is a time in the reader's zone.
func minute(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(zone).Format("2006-01-02 15:04")
}

// points are hundredths of a percent point as a number with two places.
func points(hundredths int64) string {
	sign := ""
	if hundredths < 0 {
		sign, hundredths = "-", -hundredths
	}
	return fmt.Sprintf("%s%d.%02d", sign, hundredths/100, hundredths%100)
}

// change is points with a sign.
func change(hundredths int64) string {
	if hundredths > 0 {
		return "+" + points(hundredths)
	}
	if hundredths == 0 {
		return "±0.00"
	}
	return points(hundredths)
}

// number groups the digits of large numbers.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	if n < 10_000 && n > -10_000 {
		return s
	}
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return sign + b.String()
}

// koreanUnits are the units of values that checks find.
var koreanUnits = map[string]string{
	"seconds": "초", "minutes": "분", "hours": "시간", "days": "일", "rules": " (규칙 수)", "parameters missed": " (미달 항목)", "of 3 limits met": " (기준 3개 중 충족)", "ratio with a fault": " (문제 비율)",
	"principals outside": " (허용 외)", "ratio of administrators": " (관리자 비율)", "items outside": " (기준 초과)", "ratio of failures": " (실패 비율)", "ratio of leaks": " (유출 비율)",
}

// measured is a value with its unit.
func (l Language) measured(v *float64, unit string) string {
	if v == nil {
		return "–"
	}
	x := math.Round(*v*1000) / 1000
	s := strconv.FormatFloat(x, 'f', -1, 64)
	switch unit {
	case "ratio":
		return strconv.FormatFloat(math.Round(*v*10000)/100, 'f', -1, 64) + " %"
	case "", "count":
		return s
	}
	if worded, ok := koreanUnits[unit]; ok && l == Korean {
		return s + worded
	}
	return s + " " + unit
}

// took is a duration in two units at most.
func (l Language) took(d time.Duration) string {
	switch {
	case d <= 0:
		return "–"
	case d < time.Hour:
		return l.f("%d min", "%d분", int(math.Ceil(d.Minutes())))
	case d < 48*time.Hour && d%time.Hour == 0:
		return l.f("%d h", "%d시간", int(d.Hours()))
	case d < 48*time.Hour:
		return l.f("%d h %02d min", "%d시간 %02d분", int(d.Hours()), int(d.Minutes())%60)
	}
	if d%(24*time.Hour) == 0 {
		return l.f("%d d", "%d일", int(d.Hours())/24)
	}
	return l.f("%d d %d h", "%d일 %d시간", int(d.Hours())/24, int(d.Hours())%24)
}

func orDash(s string) string {
	if strings.TrimSpace(s) == "" {
		return "–"
	}
	return s
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
