package report

import (
	"fmt"
	"strings"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/report/paper"
)

// special is what one framework has of its own.
func (w *writer) special() {
	if o := w.View.Official(); o != nil {
		w.official(o)
	}
	if w.View.Framework.ID == "TISAX" {
		w.maturity()
	}
	if w.View.Framework.ID == "ISMSP" {
		w.operation()
	}
	if w.Retention != nil {
		w.retention()
	}
}

// official is the score of CMMC with the items that it was lowered by.
func (w *writer) official(o *compliance.Official) {
	w.section("Official score", "공식 점수")
	w.add(paper.Tiles{Items: []paper.Tile{
		{Value: fmt.Sprint(o.Score), Label: w.f("of %d points", "%d점 만점", o.Highest), Note: w.f("lowest possible %d", "최저 %d점", o.Lowest)},
		{Value: fmt.Sprintf("%d / %d", o.Met, o.Total), Label: w.s("requirements met", "충족한 요구사항"), Note: w.s("partial counts as not met", "부분 적합은 미충족")},
		{Value: fmt.Sprintf("%d / %d", o.Level1Met, o.Level1), Label: w.s("of level 1 met", "레벨 1 충족"), Note: w.s("basic safeguarding", "기본 보호")},
	}})
	w.say("110 points less the weight (5, 3 or 1) of each requirement that is not met, by the DoD assessment methodology. A conditional status needs %d points; here that is %s. The system security plan (CA.L2-3.12.4), without which there is no assessment, is met: %s.",
		"국방부 평가 방법에 따라 110점에서 충족하지 못한 요구사항의 가중치(5, 3, 1)를 뺀 점수입니다. 조건부 상태에는 %d점이 필요하며 현재 도달 여부: %s. 시스템 보안 계획(CA.L2-3.12.4) 충족 여부: %s.",
		o.Needed, w.s(map[bool]string{true: "reached", false: "not reached"}[o.Conditional], map[bool]string{true: "도달", false: "미도달"}[o.Conditional]), w.yes(o.Plan))
	t := paper.Table{Title: w.s("Open items, the heaviest first (plan of action)", "미충족 항목 (가중치 순, 조치 계획)"), Columns: []paper.Column{
		{Title: w.s("Requirement", "요구사항"), Width: 28}, {Title: w.s("Title", "통제명"), Width: 68}, {Title: w.s("Weight", "가중치"), Width: 16, Right: true}, {Title: w.s("Status", "상태"), Width: 32}, {Title: w.s("Owner and due", "담당자와 기한"), Width: 30},
	}, Empty: w.s("Every requirement is met.", "모든 요구사항을 충족합니다.")}
	for _, weight := range []int{5, 3, 1, 0} {
		for i := range w.View.All {
			s := &w.View.All[i]
			if s.Control.Apart || s.Control.Weight != weight || s.Status == compliance.Compliant || s.Status == compliance.NotApplicable {
				continue
			}
			due := ""
			if s.Record.DueAt != nil {
				due = day(*s.Record.DueAt, w.Zone)
			}
			t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: s.Control.ID, Strong: true}, {Text: w.control(s.Control)}, {Text: fmt.Sprint(weight)}, {Text: w.status(s.Status), Mark: markOf(s.Status)}, {Text: orDash(s.Record.Owner), Below: due}}})
		}
	}
	w.add(t)
}

// maturity is the table of levels that TISAX asks for.
func (w *writer) maturity() {
	w.section("Maturity", "성숙도")
	if m := w.View.Maturity(); m != nil {
		w.say("%d of %d controls are rated. Mean maturity %s, each level cut at the target of %d.", "통제 %[2]d개 중 %[1]d개에 등급이 있습니다. 목표 등급 %[4]d를 상한으로 한 평균 성숙도는 %[3]s입니다.", m.Rated, m.Total, points(m.Average), m.Target)
	} else {
		w.say("No control has a maturity level yet: people give it when they attest.", "아직 성숙도 등급이 있는 통제가 없습니다. 담당자가 확인할 때 등급을 부여합니다.")
	}
	t := paper.Table{Title: w.s("Maturity by control (0 to 5, target 3)", "통제별 성숙도 (0~5, 목표 3)"), Columns: []paper.Column{
		{Title: w.s("Control", "통제"), Width: 22}, {Title: w.s("Title", "통제명"), Width: 88}, {Title: w.s("Level", "등급"), Width: 16, Right: true}, {Title: w.s("Target", "목표"), Width: 16, Right: true}, {Title: w.s("Status", "상태"), Width: 32},
	}}
	for i := range w.View.Controls {
		s := &w.View.Controls[i]
		level := "–"
		if a := s.Attestation; a != nil && a.Maturity != nil {
			level = fmt.Sprint(*a.Maturity)
		}
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: s.Control.ID, Strong: true}, {Text: w.control(s.Control)}, {Text: level}, {Text: "3"}, {Text: w.status(s.Status), Mark: markOf(s.Status)}}})
	}
	w.add(t)
}

// operation is the list that an auditor of ISMS-P asks for: by criterion what was done,
// when, and where its evidence is.
func (w *writer) operation() {
	w.section("Operating records", "운영명세 기록")
	t := paper.Table{Columns: []paper.Column{
		{Title: w.s("Criterion", "인증기준 항목"), Width: 48}, {Title: w.s("Activity", "운영 활동"), Width: 60}, {Title: w.s("Result", "결과"), Width: 28}, {Title: w.s("Date", "수행일"), Width: 22}, {Title: w.s("Evidence", "증적"), Width: 16},
	}, Empty: w.s("No activity has been recorded yet.", "기록된 운영 활동이 아직 없습니다.")}
	for i := range w.View.Controls {
		s := &w.View.Controls[i]
		name := paper.Cell{Text: s.Control.ID + " " + w.control(s.Control)}
		for j := range s.Findings {
			f := &s.Findings[j]
			if f.Result == nil {
				continue
			}
			e := paper.Cell{Text: "–"}
			if f.Result.EvidenceID != "" && !f.Stale {
				e = paper.Cell{Links: []string{w.number(f.Result.EvidenceID)}}
			}
			t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{name, {Text: w.check(f.Link.Check), Below: f.Result.Population.Definition}, {Text: w.outcome(f.Result.Outcome), Mark: markOfOutcome(f.Result.Outcome)}, {Text: day(f.Result.CollectedAt, w.Zone)}, e}})
			name = paper.Cell{}
		}
		if a := s.Attestation; a != nil {
			e := paper.Cell{Text: "–"}
			if len(a.Evidence) > 0 {
				e = paper.Cell{Links: w.numbered(a.Evidence)}
			}
			t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{name, {Text: w.f("Attested by %s", "담당자 확인: %s", a.By)}, {Text: w.status(a.Status), Mark: markOf(a.Status)}, {Text: day(a.At, w.Zone)}, e}})
		}
	}
	w.add(t)
}

// retention is how far the time that logs must be kept is reached.
func (w *writer) retention() {
	r := w.Retention
	w.part("Log retention", "로그 보존")
	reached := w.s("Not with the present setting", "현재 설정으로는 도달할 수 없음")
	switch {
	case r.MissingDays == 0 && r.Enough:
		reached = w.s("Reached", "도달")
	case !r.ReachedOn.IsZero():
		reached = day(r.ReachedOn, w.Zone)
	}
	w.add(paper.Facts{Items: []paper.Fact{
		{Name: w.s("Demanded by", "요구 통제"), Value: r.Control},
		{Name: w.s("Must be kept", "필요 보존 기간"), Value: w.f("%d days, of which %d at hand", "%d일 (즉시 검색 %d일)", r.RequiredDays, r.SearchableDays)},
		{Name: w.s("Set", "설정된 보존 기간"), Value: w.f("%d days, all of them searchable", "%d일 (전체 검색 가능)", r.ConfiguredDays)},
		{Name: w.s("Oldest record", "가장 오래된 기록"), Value: day(r.Oldest, w.Zone)},
		{Name: w.s("Held", "보유"), Value: w.f("%d days", "%d일", r.HeldDays)},
		{Name: w.s("Missing", "부족"), Value: w.f("%d – %d = %d days", "%d – %d = %d일", r.RequiredDays, min(r.HeldDays, r.RequiredDays), r.MissingDays)},
		{Name: w.s("Reached on", "도달 예정일"), Value: reached},
	}})
	if !r.Enough {
		w.add(paper.Note{Mark: paper.Bad, Text: strings.TrimSpace(w.f("The setting of %d days cannot reach the %d that are demanded: raise it.", "설정된 %d일로는 요구되는 %d일에 도달할 수 없습니다. 보존 기간을 늘려야 합니다.", r.ConfiguredDays, r.RequiredDays))})
	}
}
