package report

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/report/paper"
)

func (w *writer) evidence() {
	w.section("Evidence", "증적")
	w.say("Each item is canonical JSON whose SHA-256 is chained to the item before it. The artifact is the file that belongs to it, named by its own SHA-256. All hashes are shown whole.",
		"각 증적은 정규화된 JSON이며, 그 SHA-256은 이전 증적과 사슬로 연결됩니다. 산출물은 증적에 속한 파일이며 자체 SHA-256으로 식별합니다. 모든 해시는 전체를 표시합니다.")
	t := paper.Table{Title: w.s("Evidence that the controls rest on", "통제의 근거가 되는 증적"), Columns: []paper.Column{
		{Title: w.s("No.", "번호"), Width: 12},
		{Title: w.s("Check or document", "점검 또는 문서"), Width: 44},
		{Title: w.s("Result", "결과"), Width: 26},
		{Title: w.s("Period and collection", "기간과 수집"), Width: 38},
		{Title: w.s("Id, record, artifact and chain (SHA-256)", "식별자, 기록·산출물·사슬 (SHA-256)"), Width: 62, Small: true},
	}, Empty: w.s("No evidence has been collected for these controls yet.", "이 통제에 대해 수집된 증적이 아직 없습니다.")}
	for _, id := range w.ordered {
		t.Rows = append(t.Rows, w.item(w.number(id), id, w.kept[id]))
	}
	w.add(t)
	if last := w.newest(); last != nil {
		w.add(paper.Facts{Items: []paper.Fact{
			{Name: w.s("Newest item of the chain shown", "표시된 사슬의 마지막 항목"), Value: fmt.Sprintf("%d", last.Seq)},
			{Name: w.s("Its hash", "해시"), Value: hex.EncodeToString(last.Hash)},
			{Name: w.s("Entry of the audit log", "감사 로그 항목"), Value: fmt.Sprintf("%d", last.AuditSeq)},
		}})
	}
	if len(w.Uploaded) > 0 {
		u := paper.Table{Title: w.s("Documents handed in within the period", "기간 내 제출된 문서"), Columns: []paper.Column{
			{Title: w.s("Document", "문서"), Width: 56}, {Title: w.s("Handed in", "제출"), Width: 34}, {Title: w.s("Controls", "통제"), Width: 28}, {Title: w.s("Id and artifact (SHA-256)", "식별자와 산출물 (SHA-256)"), Width: 60, Small: true},
		}}
		for i := range w.Uploaded {
			k := &w.Uploaded[i]
			var ids []string
			for _, c := range k.Controls {
				if c.Framework == w.View.Framework.ID {
					ids = append(ids, c.Control)
				}
			}
			file := ""
			if k.Artifact != nil {
				file = k.Artifact.SHA256
			}
			u.Rows = append(u.Rows, paper.Row{Cells: []paper.Cell{{Text: k.Title, Below: k.Note}, {Text: k.HandedInBy, Below: minute(k.CollectedAt, w.Zone)}, {Text: strings.Join(ids, ", ")}, {Text: k.ID, Below: file}}})
		}
		w.add(u)
		if w.UploadedMore > 0 {
			w.say("%d more documents are in the list of evidence (GET /api/v1/compliance/evidence).", "그 밖의 문서 %d건은 증적 목록(GET /api/v1/compliance/evidence)에 있습니다.", w.UploadedMore)
		}
	}
	w.outcomes()
}

func (w *writer) newest() *evidence.Kept {
	var out *evidence.Kept
	for i := range w.Evidence {
		if k := &w.Evidence[i]; out == nil || k.Seq > out.Seq {
			out = k
		}
	}
	return out
}

// item is one row of the list.
func (w *writer) item(no, id string, k *evidence.Kept) paper.Row {
	if k == nil {
		return paper.Row{Cells: []paper.Cell{{Text: no, Anchor: no, Strong: true}, {Text: w.s("Not readable", "읽을 수 없음")}, {Text: "–"}, {Text: "–"}, {Text: id}}}
	}
	name, under := k.Title, k.Note
	result := paper.Cell{Text: w.s("Document", "문서")}
	if k.Kind == evidence.Automatic {
		name, under = w.check(k.CheckID), k.Variant
		result = paper.Cell{Text: w.outcome(k.Result), Mark: markOfOutcome(k.Result), Below: w.measured(k.Value, k.Unit)}
		if k.Value == nil {
			result.Below = ""
		}
		if p := k.Population; p != nil {
			under += "\n" + w.f("%s of %s: %s", "%[2]s개 중 %[1]s개: %[3]s", number(p.SampleSize), number(p.Size), p.Definition)
		}
	}
	hashes := w.s("record ", "기록 ") + hex.EncodeToString(k.Content)
	if k.Artifact != nil {
		hashes += "\n" + w.s("artifact ", "산출물 ") + k.Artifact.SHA256
	}
	hashes += "\n" + w.f("chain %d ", "사슬 %d ", k.Seq) + hex.EncodeToString(k.Hash)
	return paper.Row{Cells: []paper.Cell{
		{Text: no, Anchor: no, Strong: true},
		{Text: name, Below: under},
		result,
		{Text: day(k.PeriodFrom, w.Zone) + " – " + day(k.PeriodTo, w.Zone), Below: w.f("collected %s", "수집 %s", minute(k.CollectedAt, w.Zone))},
		{Text: k.ID, Below: hashes},
	}}
}

// outcomes shows that checks ran throughout the period, failures included.
func (w *writer) outcomes() {
	if len(w.Outcomes) == 0 {
		return
	}
	t := paper.Table{Title: w.s("What the checks found over the period, by day (the worst of each day)", "기간 중 일별 점검 결과 (하루 중 가장 나쁜 결과)"), Columns: []paper.Column{
		{Title: w.s("Check", "점검"), Width: 70},
		{Title: w.s("Days", "일수"), Width: 18, Right: true},
		{Title: w.outcome(compliance.Pass), Width: 20, Right: true},
		{Title: w.outcome(compliance.Partly), Width: 22, Right: true},
		{Title: w.outcome(compliance.Fail), Width: 20, Right: true},
		{Title: w.outcome(compliance.NoData), Width: 24, Right: true},
	}}
	for _, o := range w.Outcomes {
		cells := []paper.Cell{{Text: w.check(o.Check)}}
		for _, n := range []int{o.Days, o.Passed, o.Partly, o.Failed, o.Not} {
			cells = append(cells, paper.Cell{Text: number(int64(n))})
		}
		t.Rows = append(t.Rows, paper.Row{Cells: cells})
	}
	w.add(t)
}

func (w *writer) exceptions() {
	w.section("Exceptions and applicability", "예외와 적용 여부")
	t := paper.Table{Title: w.s("Exceptions", "예외"), Columns: []paper.Column{
		{Title: w.s("Control", "통제"), Width: 24}, {Title: w.s("Reason", "사유"), Width: 52}, {Title: w.s("What is done instead", "보완 통제"), Width: 48}, {Title: w.s("Owner", "책임자"), Width: 24}, {Title: w.s("From and until", "기간"), Width: 26},
	}, Empty: w.s("No exception was recorded in the period.", "기간 중 기록된 예외가 없습니다.")}
	for i := range w.Exceptions {
		e := &w.Exceptions[i]
		checks := strings.Join(e.Checks, ", ")
		if checks == "" {
			checks = w.s("all its checks", "모든 점검")
		}
		until := day(e.At, w.Zone) + " – " + day(e.EndsAt, w.Zone)
		state := w.s("open", "유효")
		switch {
		case e.EndedAt != nil:
			state = w.f("ended %s by %s", "%s %s 종료", day(*e.EndedAt, w.Zone), e.EndedBy)
		case !e.Active(w.AsOf):
			state = w.s("expired", "만료")
		}
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: e.Control, Below: checks, Strong: true}, {Text: e.Reason}, {Text: e.Compensation}, {Text: e.Owner, Below: w.f("recorded by %s", "기록: %s", e.By)}, {Text: until, Below: state}}})
	}
	w.add(t)
	if w.View.Framework.ID == "ISO27001" {
		w.applicability()
		return
	}
	n := paper.Table{Title: w.s("Not applicable", "해당 없음"), Columns: []paper.Column{
		{Title: w.s("Control", "통제"), Width: 24}, {Title: w.s("Title", "통제명"), Width: 50}, {Title: w.s("Justification", "사유"), Width: 60}, {Title: w.s("Attested and approved by", "확인자와 승인자"), Width: 40},
	}, Empty: w.s("No control is declared not applicable.", "해당 없음으로 선언된 통제가 없습니다.")}
	for i := range w.View.Controls {
		if s := &w.View.Controls[i]; s.Status == compliance.NotApplicable && s.Attestation != nil {
			a := s.Attestation
			n.Rows = append(n.Rows, paper.Row{Cells: []paper.Cell{{Text: s.Control.ID, Strong: true}, {Text: w.control(s.Control)}, {Text: a.Statement}, {Text: a.By, Below: w.f("approved by %s, until %s", "승인 %s, %s까지", orDash(a.Reviewer), day(a.ExpiresAt, w.Zone))}}})
		}
	}
	w.add(n)
}

// applicability is the statement of applicability of ISO/IEC 27001, 6.1.3 d: every control
// of Annex A, whatever the profile.
func (w *writer) applicability() {
	t := paper.Table{Title: w.s("Statement of applicability", "적용성 보고서 (SoA)"), Columns: []paper.Column{
		{Title: w.s("Control", "통제"), Width: 20}, {Title: w.s("Title", "통제명"), Width: 56}, {Title: w.s("Applicable", "적용"), Width: 20}, {Title: w.s("Justification", "사유"), Width: 50}, {Title: w.s("Status", "상태"), Width: 28},
	}}
	for i := range w.View.All {
		s := &w.View.All[i]
		if s.Control.Apart {
			continue
		}
		applicable, why := w.yes(true), s.Record.Justification
		if s.Status == compliance.NotApplicable {
			applicable = w.yes(false)
			if s.Attestation != nil {
				why = s.Attestation.Statement
			}
		}
		if strings.TrimSpace(why) == "" {
			why = w.s("not recorded", "기록 없음")
		}
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: s.Control.ID, Strong: true}, {Text: w.control(s.Control)}, {Text: applicable}, {Text: why}, {Text: w.status(s.Status), Mark: markOf(s.Status)}}})
	}
	w.add(t)
}

func (w *writer) attestations() {
	w.part("Attestations", "담당자 확인")
	t := paper.Table{Columns: []paper.Column{
		{Title: w.s("Control", "통제"), Width: 24}, {Title: w.s("Attested", "확인 내용"), Width: 30}, {Title: w.s("Statement", "진술"), Width: 58}, {Title: w.s("By", "확인자"), Width: 36}, {Title: w.s("Evidence", "증적"), Width: 26},
	}, Empty: w.s("Nobody has attested a control of this profile.", "이 프로필의 통제에 대한 담당자 확인이 없습니다.")}
	for i := range w.View.Controls {
		s := &w.View.Controls[i]
		for _, a := range []*compliance.Attestation{s.Attestation, s.Pending} {
			if a == nil {
				continue
			}
			state := w.f("until %s", "%s까지", day(a.ExpiresAt, w.Zone))
			switch {
			case a.State == compliance.Pending:
				state = w.s("waits for a reviewer: does not count yet", "검토 대기: 아직 반영되지 않음")
			case !w.View.At.Before(a.ExpiresAt):
				state = w.f("expired %s", "%s 만료", day(a.ExpiresAt, w.Zone))
			}
			by := day(a.At, w.Zone)
			if a.Reviewer != "" {
				by += "\n" + w.f("reviewed by %s", "검토: %s", a.Reviewer)
			}
			files := paper.Cell{Text: "–"}
			if len(a.Evidence) > 0 && a == s.Attestation {
				files = paper.Cell{Links: w.numbered(a.Evidence)}
			}
			t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: s.Control.ID, Strong: true}, {Text: w.status(a.Status), Mark: markOf(a.Status), Below: state}, {Text: a.Statement}, {Text: a.By, Below: by}, files}})
		}
	}
	w.add(t)
}

func (w *writer) incidents() {
	w.part("Incidents and notifications", "침해사고와 통지")
	if f := w.Incidents; f != nil {
		w.add(paper.Facts{Items: []paper.Fact{
			{Name: w.s("Period", "기간"), Value: day(w.From, w.Zone) + " – " + day(w.To, w.Zone)},
			{Name: w.s("Incidents", "사고"), Value: w.f("%s, of which %s closed, %s in time", "%s건 (종결 %s건, 기한 내 %s건)", number(f.Created), number(f.Closed), number(f.SLAMet))},
			{Name: w.s("Time to acknowledge", "인지 시간"), Value: w.durations(&f.Acknowledge)},
			{Name: w.s("Time to contain", "봉쇄 시간"), Value: w.durations(&f.Contain)},
			{Name: w.s("Time to resolve", "해결 시간"), Value: w.durations(&f.Resolve)},
		}})
		t := paper.Table{Title: w.s("By severity", "심각도별"), Columns: []paper.Column{
			{Title: w.s("Severity", "심각도"), Width: 40},
			{Title: w.s("Made", "발생"), Width: 24, Right: true},
			{Title: w.s("Closed", "종결"), Width: 24, Right: true},
			{Title: w.s("In time", "기한 내"), Width: 24, Right: true},
			{Title: w.s("Acknowledged, mean", "인지 평균"), Width: 31, Right: true},
			{Title: w.s("Resolved, mean", "해결 평균"), Width: 31, Right: true},
		}}
		for _, s := range f.BySeverity {
			t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: w.severity(s.Severity), Mark: markOfSeverity(s.Severity)}, {Text: number(s.Created)}, {Text: number(s.Closed)}, {Text: number(s.SLAMet)}, {Text: w.took(s.Acknowledge.Mean)}, {Text: w.took(s.Resolve.Mean)}}})
		}
		w.add(t)
	}
	if !w.Notifies {
		return
	}
	t := paper.Table{Title: w.s("Notifications and their deadlines", "통지와 기한"), Columns: []paper.Column{
		{Title: w.s("Incident", "사고"), Width: 56}, {Title: w.s("To whom", "통지 대상"), Width: 40}, {Title: w.s("Known", "인지"), Width: 26}, {Title: w.s("Due", "기한"), Width: 26}, {Title: w.s("Sent", "통지"), Width: 26},
	}, Empty: w.s("No incident of the period had to be notified.", "기간 중 통지 대상 사고가 없습니다.")}
	for i := range w.Notices {
		n := &w.Notices[i]
		sent := paper.Cell{Text: w.s("not sent", "미통지"), Mark: paper.Unknown}
		switch n.State {
		case "sent":
			sent = paper.Cell{Text: minute(*n.SentAt, w.Zone), Below: w.s("in time", "기한 내"), Mark: paper.Good}
		case "late":
			sent = paper.Cell{Text: minute(*n.SentAt, w.Zone), Below: w.s("late", "지연"), Mark: paper.Bad}
		case "overdue":
			sent = paper.Cell{Text: w.s("overdue", "기한 초과"), Mark: paper.Bad}
		}
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: n.Title, Below: n.Incident}, {Text: n.Recipient, Below: n.Law}, {Text: minute(n.AwareAt, w.Zone)}, {Text: minute(n.DueAt, w.Zone)}, sent}})
	}
	w.add(t)
}

func (w *writer) durations(d *incident.Durations) string {
	if d.Count == 0 {
		return "–"
	}
	return w.f("mean %s, nine in ten within %s", "평균 %s, 90%%는 %s 이내", w.took(d.Mean), w.took(d.P90))
}

func (w *writer) severity(s string) string {
	switch s {
	case "critical":
		return w.s("Critical", "심각")
	case "high":
		return w.s("High", "높음")
	case "medium":
		return w.s("Medium", "보통")
	case "low":
		return w.s("Low", "낮음")
	}
	return w.s("Information", "정보")
}

func markOfSeverity(s string) paper.Mark {
	switch s {
	case "critical":
		return paper.First
	case "high":
		return paper.Second
	case "medium":
		return paper.Third
	case "low":
		return paper.Fourth
	}
	return paper.Fifth
}

func (w *writer) signOff() {
	w.section("Sign-off", "서명")
	w.say("By signing, each confirms to have read this report, and nothing beyond what it shows within the monitored scope.", "서명은 이 보고서를 읽었음을 확인하는 것이며, 모니터링 범위 안에서 표시된 내용 외에는 어떠한 것도 보증하지 않습니다.")
	w.add(paper.Signatures{
		Roles: []string{w.s("Prepared by", "작성"), w.s("Reviewed by", "검토"), w.s("Approved by", "승인")},
		Name:  w.s("Name", "성명"), Office: w.s("Role", "직책"), Written: w.s("Signature", "서명"), Date: w.s("Date", "날짜"),
	})
}

func (w *writer) annex() {
	w.section("Annex", "부록")
	w.sub("Versions", "버전")
	w.add(paper.Facts{Items: []paper.Fact{
		{Name: w.s("Catalogue", "통제 목록"), Value: w.View.Framework.Ref()},
		{Name: w.s("Method of this report", "보고서 방법"), Value: method},
		{Name: w.s("Program", "프로그램"), Value: "KYRA " + w.Version},
		{Name: w.s("Weight of partial", "부분 적합 가중치"), Value: weight(w.View.Settings.PartialWeight)},
		{Name: w.s("Strict", "엄격 평가"), Value: w.yes(w.View.Settings.Strict)},
	}})
	t := paper.Table{Title: w.s("Checks used, with their versions", "사용된 점검과 버전"), Columns: []paper.Column{
		{Title: w.s("Check", "점검"), Width: 56}, {Title: w.s("Measures", "측정 내용"), Width: 92}, {Title: w.s("Every", "주기"), Width: 16, Right: true}, {Title: w.s("Version", "버전"), Width: 14, Right: true},
	}, Empty: w.s("No control of this profile has a check.", "이 프로필에는 점검이 연결된 통제가 없습니다.")}
	seen := map[string]bool{}
	for _, key := range w.variants() {
		id, _, _ := strings.Cut(key, "?")
		c := w.Checks(id)
		if c == nil || seen[id] {
			continue
		}
		seen[id] = true
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: w.title(c.Title, c.TitleKo), Below: c.ID}, {Text: c.Measures}, {Text: w.took(c.Cadence)}, {Text: fmt.Sprint(c.Version)}}})
	}
	w.add(t)
	w.sub("Glossary", "용어")
	g := []paper.Fact{
		{Name: w.s("Attestation", "확인 (attestation)"), Value: w.s("What a person declares of a control, with a statement and an end.", "담당자가 통제에 대해 진술한 내용이며, 유효 기간이 있습니다.")},
		{Name: w.s("Check", "점검 (check)"), Value: w.s("A measurement that the platform makes by itself, on schedule. One result serves every control that names the check.", "플랫폼이 주기적으로 스스로 수행하는 측정입니다. 결과 하나가 해당 점검을 참조하는 모든 통제에 쓰입니다.")},
		{Name: w.s("Evidence", "증적 (evidence)"), Value: w.s("A result or a document with the query, population, period, hash and place in the chain.", "질의, 모집단, 기간, 해시와 사슬상의 위치를 포함한 점검 결과 또는 문서입니다.")},
		{Name: w.s("Exception", "예외 (exception)"), Value: w.s("A recorded decision to accept for a time that a check does not pass, with owner, reason and compensation.", "점검을 통과하지 못하는 상태를 일정 기간 수용하기로 한 기록된 결정입니다. 책임자, 사유, 보완 통제를 포함합니다.")},
		{Name: w.s("Stale", "만료 (stale)"), Value: w.s("Older than twice the check's interval, or past its validity: it counts as no data.", "점검 주기의 두 배보다 오래되었거나 유효 기간이 지난 결과이며, 데이터 없음으로 처리합니다.")},
		{Name: w.s("Strict", "엄격 평가 (strict)"), Value: w.s("Controls of which telemetry shows only a part need a person, too.", "로그로 일부만 확인되는 통제도 담당자의 확인이 필요합니다.")},
	}
	w.add(paper.Facts{Items: g})
	w.sub("How to verify", "검증 방법")
	w.say("Ask for the evidence bundle (GET /api/v1/compliance/evidence/bundle) and run: kyra verify bundle.zip. It needs no server and no network. It checks the SHA-256 of every record and artifact, the chain and the signature of its head, and names what was altered. A hash in this report must be found in the bundle. A report made from the same state has the same report id, and byte for byte the same file.",
		"증적 묶음(GET /api/v1/compliance/evidence/bundle)을 받아 kyra verify bundle.zip 을 실행합니다. 서버와 네트워크가 필요하지 않습니다. 모든 기록과 산출물의 SHA-256, 사슬, 사슬 머리의 서명을 확인하고 변경된 항목을 알려 줍니다. 이 보고서의 해시는 묶음에서 찾을 수 있어야 합니다. 같은 상태에서 만든 보고서는 보고서 번호가 같고 파일도 바이트 단위로 같습니다.")
	if w.Language == Korean {
		w.add(paper.Text{Muted: true, Text: "측정 내용, 기준, 조사 대상은 증적에 보관된 원문(영어) 그대로 표시합니다."})
	}
}
