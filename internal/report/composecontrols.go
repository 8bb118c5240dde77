package report

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/report/paper"
)

func (w *writer) scope() {
	v, c := w.View, &w.View.Coverage
	w.section("Scope and method", "범위와 방법")
	w.sub("What is monitored", "모니터링 대상")
	t := paper.Table{Title: w.s("What the checks counted", "점검이 집계한 범위"), Columns: []paper.Column{
		{Title: w.s("Check", "점검"), Width: 50}, {Title: w.s("What was looked at", "조사 대상"), Width: 66}, {Title: w.s("Number", "수"), Width: 16, Right: true}, {Title: w.s("Value", "값"), Width: 20, Right: true}, {Title: w.s("Result", "결과"), Width: 24},
	}, Empty: w.s("Nothing has been counted yet.", "아직 집계된 내용이 없습니다.")}
	for i := range w.Scope {
		r := &w.Scope[i]
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{
			{Text: w.check(r.Check), Below: day(r.CollectedAt, w.Zone)}, {Text: orDash(r.Population.Definition)}, {Text: number(r.Population.Size)}, {Text: w.measured(r.Value, r.Unit)}, {Text: w.outcome(r.Outcome), Mark: markOfOutcome(r.Outcome)},
		}})
	}
	w.add(t)
	w.sub("How a control is judged", "통제 판정 방법")
	w.say("Checks measure facts that the platform itself sees and keep each result as evidence. A check passes, passes in part, fails, or has no data. No data is never a pass, and an empty population is no data. A failing check lowers a control of any mode; a person cannot lift it except by a recorded exception.",
		"점검은 플랫폼이 직접 확인한 사실을 측정하고 모든 결과를 증적으로 보관합니다. 점검 결과는 통과, 일부 통과, 실패, 데이터 없음으로 나뉩니다. 데이터 없음은 통과로 보지 않으며, 모집단이 비어 있는 경우도 데이터 없음입니다. 실패한 점검은 모든 방식의 통제 상태를 낮추며, 기록된 예외 없이는 담당자가 이를 올릴 수 없습니다.")
	n := map[compliance.Mode]int{}
	for i := range v.Controls {
		n[v.Controls[i].Control.ModeIn(v.Settings.Strict)]++
	}
	w.add(paper.Table{Title: w.s("Modes of the controls in this profile", "이 프로필의 통제 방식"), Columns: []paper.Column{
		{Title: w.s("Mode", "방식"), Width: 38}, {Title: w.s("Controls", "통제 수"), Width: 20, Right: true}, {Title: w.s("Meaning", "의미"), Width: 116},
	}, Rows: []paper.Row{
		{Cells: []paper.Cell{{Text: w.mode(compliance.Auto)}, {Text: number(int64(n[compliance.Auto]))}, {Text: w.s("Checks alone settle it.", "점검만으로 판정합니다.")}}},
		{Cells: []paper.Cell{{Text: w.mode(compliance.Assist)}, {Text: number(int64(n[compliance.Assist]))}, {Text: w.s("Checks can lower it; a person must attest before it is compliant.", "점검은 상태를 낮출 수 있으며, 적합이 되려면 담당자의 확인이 필요합니다.")}}},
		{Cells: []paper.Cell{{Text: w.mode(compliance.Manual)}, {Text: number(int64(n[compliance.Manual]))}, {Text: w.s("Telemetry cannot see it: a person attests.", "로그로 확인할 수 없어 담당자가 확인합니다.")}}},
	}})
	w.sub("How the score is reckoned", "점수 산정 방식")
	w.say("Score = 100 × (compliant + %s × partial) ÷ total = 100 × (%d + %s × %d) ÷ %d = %s %%. What is not assessed stays in the total; what is not applicable leaves it. Strict assessment: %s.",
		"점수 = 100 × (적합 + %s × 부분 적합) ÷ 합계 = 100 × (%d + %s × %d) ÷ %d = %s %%. 미평가는 합계에 포함되고 해당 없음은 제외됩니다. 엄격 평가: %s.",
		weight(v.Settings.PartialWeight), c.Compliant, weight(v.Settings.PartialWeight), c.Partial, c.Total, points(c.Score), w.yes(v.Settings.Strict))
	w.sub("What telemetry cannot see", "로그로 확인할 수 없는 것")
	w.say("Logs tell nothing of policies, contracts, training, buildings or of systems that send none. A control is judged within what is connected: read it together with the number of sources above.",
		"로그는 정책, 계약, 교육, 시설과 로그를 보내지 않는 시스템에 대해 아무것도 알려 주지 않습니다. 통제는 연결된 범위 안에서만 판정되므로 위의 로그 소스 수와 함께 보아야 합니다.")
	w.limits()
}

func weight(f float64) string { return strings.TrimRight(strings.TrimRight(formatFloat(f), "0"), ".") }

// limits lists where a control asks for more than the check's own limits.
func (w *writer) limits() {
	t := paper.Table{Title: w.s("Limits that controls set for themselves", "통제가 별도로 정한 기준"), Columns: []paper.Column{
		{Title: w.s("Control", "통제"), Width: 34}, {Title: w.s("Check", "점검"), Width: 56}, {Title: w.s("Limits instead of the check's own", "기본값 대신 적용되는 기준"), Width: 84},
	}}
	for i := range w.View.Controls {
		k := w.View.Controls[i].Control
		for _, l := range k.Checks {
			if _, own, ok := strings.Cut(l.Key, "?"); ok {
				t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: k.ID}, {Text: w.check(l.Check), Below: l.Check}, {Text: strings.ReplaceAll(own, "&", ", ")}}})
			}
		}
	}
	if len(t.Rows) > 0 {
		w.sub("Thresholds that differ from the default", "기본값과 다른 기준")
		w.add(t)
	}
}

// gaps come before all controls: what is not compliant, and what relies on old evidence.
func (w *writer) gaps() {
	w.section("Gaps and stale items", "미흡 사항과 만료 증적")
	for _, status := range []compliance.Status{compliance.NonCompliant, compliance.Partial} {
		w.add(paper.Heading{Level: 2, Text: w.status(status)})
		any := false
		for i := range w.View.Controls {
			if s := &w.View.Controls[i]; s.Status == status {
				w.gap(s)
				any = true
			}
		}
		if !any {
			w.add(paper.Text{Text: w.s("No control stands so.", "해당하는 통제가 없습니다."), Muted: true})
		}
	}
	w.stale()
	w.unassessed()
}

// gap tells what keeps one control from being compliant.
func (w *writer) gap(s *compliance.Standing) {
	w.add(paper.Heading{Level: 3, Text: s.Control.ID + "  " + w.control(s.Control)})
	due := "–"
	if s.Record.DueAt != nil {
		due = day(*s.Record.DueAt, w.Zone)
	}
	line := w.f("%s since %s · owner: %s · due: %s", "%s, %s부터 · 담당자: %s · 기한: %s", w.status(s.Status), day(s.Since, w.Zone), orDash(s.Record.Owner), due)
	w.add(paper.Text{Text: line + "\n" + s.Why.In(string(w.Language)), Muted: true})
	t := paper.Table{Columns: []paper.Column{
		{Title: w.s("Check", "점검"), Width: 36}, {Title: w.s("Result", "결과"), Width: 24}, {Title: w.s("Value and threshold", "값과 기준"), Width: 38}, {Title: w.s("What was found", "확인 내용"), Width: 61}, {Title: w.s("Evidence", "증적"), Width: 15},
	}}
	for i := range s.Findings {
		f := &s.Findings[i]
		if f.Outcome == compliance.Pass {
			continue
		}
		t.Rows = append(t.Rows, w.finding(f))
	}
	if len(t.Rows) > 0 {
		w.add(t)
	}
}

func (w *writer) finding(f *compliance.Finding) paper.Row {
	result := paper.Cell{Text: w.outcome(f.Outcome), Mark: markOfOutcome(f.Outcome)}
	if f.Excepted {
		result.Below = w.s("accepted by exception", "예외로 승인됨")
	}
	cells := []paper.Cell{{Text: w.check(f.Link.Check), Below: f.Link.Check}, result, {Text: "–"}, {Text: w.s("Never evaluated.", "평가된 적 없음")}, {Text: "–"}}
	if r := f.Result; r != nil {
		cells[2] = paper.Cell{Text: w.measured(r.Value, r.Unit), Below: r.Threshold}
		cells[3] = paper.Cell{Text: orDash(r.ReasonIn(string(w.Language)))}
		if f.Stale {
			cells[1].Below = w.f("stale, collected %s", "만료, %s 수집", day(r.CollectedAt, w.Zone))
		} else if r.EvidenceID != "" {
			cells[4] = paper.Cell{Links: []string{w.number(r.EvidenceID)}}
		}
	}
	return paper.Row{Cells: cells}
}

func (w *writer) stale() {
	w.sub("Evidence that is too old to count", "유효 기간이 지난 증적")
	t := paper.Table{Columns: []paper.Column{
		{Title: w.s("Check", "점검"), Width: 60}, {Title: w.s("Collected", "수집"), Width: 34}, {Title: w.s("Last result", "마지막 결과"), Width: 30}, {Title: w.s("Controls", "통제"), Width: 50},
	}, Empty: w.s("Every result is fresh enough.", "모든 결과가 유효 기간 안에 있습니다.")}
	at := map[string]int{}
	for i := range w.View.Controls {
		s := &w.View.Controls[i]
		for j := range s.Findings {
			f := &s.Findings[j]
			if !f.Stale {
				continue
			}
			k, ok := at[f.Link.Key]
			if !ok {
				k = len(t.Rows)
				at[f.Link.Key] = k
				t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: w.check(f.Link.Check), Below: f.Link.Key}, {Text: minute(f.Result.CollectedAt, w.Zone)}, {Text: w.outcome(f.Result.Outcome), Mark: markOfOutcome(f.Result.Outcome)}, {}}})
			}
			c := &t.Rows[k].Cells[3]
			if c.Text != "" {
				c.Text += ", "
			}
			c.Text += s.Control.ID
		}
	}
	w.add(t)
}

// unassessed sums up what was not assessed, by why.
func (w *writer) unassessed() {
	w.sub("Not assessed, by reason", "미평가 통제와 사유")
	t := paper.Table{
		Columns: []paper.Column{{Title: w.s("Reason", "사유"), Width: 62}, {Title: w.s("Number", "수"), Width: 20, Right: true}, {Title: w.s("Controls", "통제"), Width: 92}},
		Empty:   w.s("Every control is assessed.", "모든 통제가 평가되었습니다."),
	}
	words := map[compliance.Code]string{
		compliance.ReadyToAttest:      w.s("Every check passes; a person must attest", "모든 점검 통과, 담당자의 확인이 필요함"),
		compliance.HasNoData:          w.s("No check has data", "데이터가 있는 점검이 없음"),
		compliance.NeedsPerson:        w.s("No check can see it; a person must attest", "자동으로 점검할 수 없음, 담당자의 확인이 필요함"),
		compliance.Incomplete:         w.s("What has data passes; a person must attest", "데이터가 있는 점검은 통과, 담당자의 확인이 필요함"),
		compliance.AttestationExpired: w.s("The attestation expired", "확인이 만료됨"),
	}
	for _, code := range []compliance.Code{compliance.ReadyToAttest, compliance.Incomplete, compliance.AttestationExpired, compliance.HasNoData, compliance.NeedsPerson} {
		var ids []string
		for i := range w.View.Controls {
			if s := &w.View.Controls[i]; s.Status == compliance.NotAssessed && s.Why.Code == code {
				ids = append(ids, s.Control.ID)
			}
		}
		if len(ids) > 0 {
			t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: words[code]}, {Text: number(int64(len(ids)))}, {Text: strings.Join(ids, ", ")}}})
		}
	}
	w.add(t)
}

// controls is the table of every control of the profile: none is ever left out.
func (w *writer) controls() {
	w.section("All controls", "전체 통제")
	w.say("Every control of the profile, in the order of the framework. Evidence numbers lead to the list of evidence.", "프로필의 모든 통제를 프레임워크 순서대로 나열합니다. 증적 번호는 증적 목록으로 연결됩니다.")
	t := paper.Table{Columns: []paper.Column{
		{Title: w.s("Control", "통제"), Width: 25},
		{Title: w.s("Title and reason", "통제명과 사유"), Width: 72},
		{Title: w.s("Status and mode", "상태와 방식"), Width: 32},
		{Title: w.s("Owner and due", "담당자와 기한"), Width: 25},
		{Title: w.s("Evidence", "증적"), Width: 20},
	}}
	data := paper.Table{Columns: []paper.Column{
		{Title: "control"}, {Title: "domain"}, {Title: "title"}, {Title: "status"}, {Title: "mode"}, {Title: "reason"}, {Title: "assessedAt"}, {Title: "owner"}, {Title: "dueAt"}, {Title: "evidence"}, {Title: "stale"},
	}}
	last := ""
	for i := range w.View.Controls {
		s := &w.View.Controls[i]
		k := s.Control
		if k.Domain != last {
			last = k.Domain
			t.Rows = append(t.Rows, paper.Row{Group: w.domain(k.Domain)})
		}
		due := ""
		if s.Record.DueAt != nil {
			due = day(*s.Record.DueAt, w.Zone)
		}
		below := w.mode(k.ModeIn(w.View.Settings.Strict))
		if !s.Assessed.IsZero() {
			below += "\n" + w.f("assessed %s", "평가 %s", day(s.Assessed, w.Zone))
		}
		if s.Stale {
			below += "\n" + w.s("stale evidence", "만료 증적 있음")
		}
		ids := s.Evidence()
		c := paper.Cell{Text: "–"}
		if len(ids) > 0 {
			c = paper.Cell{Links: w.numbered(ids)}
		}
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{
			{Text: k.ID, Strong: true},
			{Text: w.control(k), Below: s.Why.In(string(w.Language))},
			{Text: w.status(s.Status), Mark: markOf(s.Status), Below: below},
			{Text: orDash(s.Record.Owner), Below: due},
			c,
		}})
		assessed := ""
		if !s.Assessed.IsZero() {
			assessed = s.Assessed.UTC().Format("2006-01-02T15:04:05Z")
		}
		data.Rows = append(data.Rows, paper.Row{Cells: []paper.Cell{
			{Text: k.ID},
			{Text: w.domain(k.Domain)},
			{Text: w.control(k)},
			{Text: string(s.Status)},
			{Text: string(k.ModeIn(w.View.Settings.Strict))},
			{Text: s.Why.In(string(w.Language))},
			{Text: assessed},
			{Text: s.Record.Owner},
			{Text: due},
			{Text: strings.Join(ids, " ")},
			{Text: w.yes(s.Stale)},
		}})
	}
	w.add(t)
	w.doc.Data = &data
}

// variants are the keys of what the view's controls ask for, each once.
func (w *writer) variants() []string {
	var out []string
	for i := range w.View.Controls {
		for _, l := range w.View.Controls[i].Control.Checks {
			if !slices.Contains(out, l.Key) {
				out = append(out, l.Key)
			}
		}
	}
	return out
}
