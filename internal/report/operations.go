package report

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/report/paper"
)

// operator composes the reports of detection and response.
type operator struct {
	writer
	s        *Service
	run      *Run
	zone     *time.Location
	from, to time.Time
	now      *alert.Summary // of the period
	before   *alert.Summary // of the one before, as long
	cases    *incident.Figures
	earlier  *incident.Figures
}

const topMost = 10

// document composes what a run is to tell; name is that of its files, without an end.
func (s *Service) document(ctx context.Context, r *Run) (doc *paper.Document, name string, err error) {
	zone := r.Settings.zone()
	name = strings.ToLower(string(r.Kind)) + "-" + day(r.From, zone) + "-" + day(r.To.Add(-1), zone)
	if r.Kind == Compliance {
		f, err := s.Builder.Compliance.Find(ctx, r.Tenant, r.Settings.Framework)
		if err != nil {
			return nil, "", err
		}
		m, err := s.Builder.Model(ctx, r.Tenant, f, Wish{Profile: compliance.Profile(r.Settings.Profile), From: r.From, To: r.To, Zone: zone}, s.now())
		if err != nil {
			return nil, "", err
		}
		doc, _, err = Compose(m, r.Settings.Language)
		return doc, strings.TrimSuffix(m.FileName("x"), ".x"), err
	}
	t, err := s.Builder.Tenants.ByNumber(ctx, r.Tenant)
	if err != nil {
		return nil, "", err
	}
	o := &operator{writer: writer{Language: r.Settings.Language, Model: &Model{Organisation: t.Name, Zone: zone, Version: s.Builder.Version}}, s: s, run: r, zone: zone, from: r.From, to: r.To}
	length := r.To.Sub(r.From)
	if o.now, err = s.Alerts.Summary(ctx, r.Tenant, r.From, r.To, zone, topMost); err != nil {
		return nil, "", err
	}
	if o.before, err = s.Alerts.Summary(ctx, r.Tenant, r.From.Add(-length), r.From, zone, 100); err != nil {
		return nil, "", err
	}
	if o.cases, err = s.Builder.Incidents.Figures(ctx, r.Tenant, r.From, r.To, s.now()); err != nil {
		return nil, "", err
	}
	if o.earlier, err = s.Builder.Incidents.Figures(ctx, r.Tenant, r.From.Add(-length), r.From, s.now()); err != nil {
		return nil, "", err
	}
	o.front()
	switch r.Kind {
	case Executive:
		err = o.executive(ctx)
	case Incident:
		err = o.incidentReport(ctx)
	case Threat:
		err = o.threat(ctx)
	case Compliance:
	}
	return o.doc, name, err
}

func (o *operator) kind() string {
	switch o.run.Kind {
	case Executive:
		return o.word("Executive summary", "경영진 요약 보고서")
	case Incident:
		return o.word("Incident report", "침해사고 보고서")
	case Threat:
		return o.word("Threat landscape", "위협 동향 보고서")
	case Compliance:
	}
	return o.word("Compliance status report", "컴플라이언스 현황 보고서")
}

func (o *operator) word(en, ko string) string { return o.Language.s(en, ko) }

func (o *operator) span() string { return day(o.from, o.zone) + " – " + day(o.to.Add(-1), o.zone) }

func (o *operator) front() {
	o.doc = &paper.Document{
		Language: string(o.Language), Kind: o.kind(), Title: o.run.Name, Subtitle: o.span(), Organisation: o.Organisation, AsOf: o.run.CreatedAt, Contents: o.word("Contents", "목차"), Page: o.word("Page", "쪽"),
		Running: strings.Join([]string{o.kind(), o.Organisation, o.span()}, " · "),
		Cover: []paper.Fact{
			{Name: o.word("Period", "대상 기간"), Value: moment(o.from, o.zone) + " – " + moment(o.to, o.zone)},
			{Name: o.word("Compared with", "비교 기간"), Value: day(o.from.Add(o.from.Sub(o.to)), o.zone) + " – " + day(o.from.Add(-1), o.zone)},
			{Name: o.word("Made at", "작성 시각"), Value: moment(o.run.CreatedAt, o.zone)},
			{Name: o.word("Classification", "문서 등급"), Value: o.word("Confidential: for the organisation", "대외비: 해당 조직용")},
			{Name: o.word("Report id", "보고서 번호"), Value: o.run.ID},
		},
		CoverNote: o.word("The figures count what the platform received and detected within the period. Systems that send no logs are not in them.", "이 수치는 기간 중 플랫폼이 수신하고 탐지한 내용을 집계한 것입니다. 로그를 보내지 않는 시스템은 포함되지 않습니다."),
	}
}

// against tells a figure's change from the period before.
func (o *operator) against(now, before int64) string {
	d := now - before
	switch {
	case d == 0:
		return o.word("as many as before", "이전 기간과 같음")
	case before == 0:
		return o.f("%s before", "이전 기간 %s", number(before))
	case d > 0:
		return o.f("+%s (%s before)", "+%s (이전 %s)", number(d), number(before))
	}
	return o.f("-%s (%s before)", "-%s (이전 %s)", number(-d), number(before))
}

// head are the figures that every one of these reports begins with.
func (o *operator) head() {
	ack, before := o.took(o.cases.Acknowledge.Mean), o.took(o.earlier.Acknowledge.Mean)
	fix, fixBefore := o.took(o.cases.Resolve.Mean), o.took(o.earlier.Resolve.Mean)
	o.add(paper.Tiles{Items: []paper.Tile{
		{Value: number(o.now.Total), Label: o.word("Alerts", "경보"), Note: o.against(o.now.Total, o.before.Total)},
		{Value: number(o.cases.Created), Label: o.word("Incidents", "사고"), Note: o.against(o.cases.Created, o.earlier.Created)},
		{Value: ack, Label: o.word("Mean time to acknowledge", "평균 인지 시간 (MTTA)"), Note: o.f("%s before", "이전 %s", before)},
		{Value: fix, Label: o.word("Mean time to resolve", "평균 해결 시간 (MTTR)"), Note: o.f("%s before", "이전 %s", fixBefore)},
	}})
}

func (o *operator) severities() []paper.Series {
	out := make([]paper.Series, len(event.Severities))
	for i, s := range event.Severities {
		out[i] = paper.Series{Label: o.severity(s), Mark: markOfSeverity(s)}
	}
	return out
}

// byDay is alerts by day and severity, as a picture and as a table; its table is the data
// of the CSV.
func (o *operator) byDay() {
	o.part("Alerts by day", "일별 경보")
	b := paper.Bars{Title: o.word("Alerts by day and severity", "일별·심각도별 경보"), Series: o.severities(), Absolute: true}
	t := paper.Table{Columns: []paper.Column{{Title: o.word("Day", "날짜"), Width: 40}}}
	for _, s := range event.Severities {
		t.Columns = append(t.Columns, paper.Column{Title: o.severity(s), Width: 22, Right: true})
	}
	t.Columns = append(t.Columns, paper.Column{Title: o.word("Total", "합계"), Width: 24, Right: true})
	data := t
	data.Columns = []paper.Column{{Title: "day"}, {Title: "critical"}, {Title: "high"}, {Title: "medium"}, {Title: "low"}, {Title: "info"}, {Title: "total"}}
	step := 1
	for len(o.now.Days)/step > 35 {
		step = 7
		if len(o.now.Days)/step > 35 {
			step = 31
		}
	}
	var told []string
	for i := 0; i < len(o.now.Days); i += step {
		var sums [5]int64
		last := min(i+step, len(o.now.Days))
		for _, d := range o.now.Days[i:last] {
			for k, n := range d.BySeverity {
				sums[k] += n
			}
			data.Rows = append(data.Rows, o.counts(d.Day.Format(time.DateOnly), d.BySeverity, plainCount))
		}
		name := o.now.Days[i].Day.Format(time.DateOnly)
		if step > 1 {
			name += " – " + o.now.Days[last-1].Day.Format(time.DateOnly)
		}
		total := sum5(sums)
		b.Items = append(b.Items, paper.Bar{Label: name, Values: sums[:], Right: number(total)})
		t.Rows = append(t.Rows, o.counts(name, sums, number))
		told = append(told, name+": "+number(total))
	}
	b.Description = strings.Join(told, "; ")
	o.add(b, t)
	o.doc.Data = &data
}

func plainCount(n int64) string { return fmt.Sprint(n) }

func sum5(a [5]int64) (n int64) {
	for _, v := range a {
		n += v
	}
	return n
}

func (o *operator) counts(name string, of [5]int64, write func(int64) string) paper.Row {
	cells := []paper.Cell{{Text: name}}
	for _, n := range of {
		cells = append(cells, paper.Cell{Text: write(n)})
	}
	return paper.Row{Cells: append(cells, paper.Cell{Text: write(sum5(of)), Strong: true})}
}

// ranking is a table of what alerts name most.
func (o *operator) ranking(title, column string, list, before []alert.Ranked) {
	t := paper.Table{Title: title, Columns: []paper.Column{
		{Title: column, Width: 86}, {Title: o.word("Gravest", "최고 심각도"), Width: 30}, {Title: o.word("Alerts", "경보"), Width: 18, Right: true}, {Title: o.word("Share", "비율"), Width: 18, Right: true}, {Title: o.word("Before", "이전"), Width: 22, Right: true},
	}, Empty: o.word("None in the period.", "기간 중 없음.")}
	for _, r := range list {
		name, under := r.Name, r.ID
		if name == "" || name == r.ID {
			name, under = orDash(r.ID), ""
		}
		had := int64(0)
		if i := slices.IndexFunc(before, func(b alert.Ranked) bool { return b.ID == r.ID }); i >= 0 {
			had = before[i].Count
		}
		share := "–"
		if o.now.Total > 0 {
			share = points((r.Count*10_000+o.now.Total/2)/o.now.Total) + " %"
		}
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: name, Below: under}, {Text: o.severity(r.Worst), Mark: markOfSeverity(r.Worst)}, {Text: number(r.Count)}, {Text: share}, {Text: number(had)}}})
	}
	o.add(t)
}

func (o *operator) executive(ctx context.Context) error {
	o.section("Summary", "요약")
	o.head()
	a, c := o.now, o.cases
	var items []string
	say := func(en, ko string, args ...any) { items = append(items, o.f(en, ko, args...)) }
	say("%s alerts, of which %s critical and %s high. %s are still open, %s were false positives.", "경보 %s건 (심각 %s건, 높음 %s건). 미처리 %s건, 오탐 %s건.", number(a.Total), number(a.BySeverity[0]), number(a.BySeverity[1]), number(a.Open), number(a.FalsePositive))
	say("%s incidents, of which %s were closed, %s of them in time. At present %s are open: %s with nobody assigned, %s overdue.", "사고 %s건 중 %s건 종결 (기한 내 %s건). 현재 미종결 %s건: 미배정 %s건, 기한 초과 %s건.", number(c.Created), number(c.Closed), number(c.SLAMet), number(c.Open), number(c.Unassigned), number(c.Overdue))
	if a.Acknowledged > 0 {
		say("Somebody acted on %s alerts: on average within %s, nine in ten within %s.", "조치된 경보 %s건: 평균 %s 이내, 90%%는 %s 이내.", number(a.Acknowledged), o.took(a.MeanAnswer), o.took(a.NinetyAnswer))
	}
	if len(a.Rules) > 0 {
		say("The rule that alerted most: %s (%s).", "가장 많이 탐지한 규칙: %s (%s건).", a.Rules[0].Name, number(a.Rules[0].Count))
	}
	o.add(paper.Points{Items: items})
	o.byDay()
	o.part("What stands out", "주요 내용")
	o.ranking(o.word("Rules that alerted most", "탐지가 많은 규칙"), o.word("Rule", "규칙"), a.Rules[:min(len(a.Rules), 5)], o.before.Rules)
	o.ranking(o.word("Who and what was concerned most", "가장 많이 관련된 대상"), o.word("Entity", "대상"), a.Entities[:min(len(a.Entities), 5)], o.before.Entities)
	o.responses()
	if err := o.sources(ctx); err != nil {
		return err
	}
	return o.frameworks(ctx)
}

// responses are the figures of incidents by severity.
func (o *operator) responses() {
	o.part("Response", "대응")
	t := paper.Table{Title: o.word("Incidents by severity", "심각도별 사고"), Columns: []paper.Column{
		{Title: o.word("Severity", "심각도"), Width: 34},
		{Title: o.word("Made", "발생"), Width: 18, Right: true},
		{Title: o.word("Closed", "종결"), Width: 18, Right: true},
		{Title: o.word("In time", "기한 내"), Width: 18, Right: true},
		{Title: o.word("Open now", "현재 미종결"), Width: 20, Right: true},
		{Title: o.word("Acknowledged, mean", "인지 평균"), Width: 24, Right: true},
		{Title: o.word("Contained, mean", "봉쇄 평균"), Width: 24, Right: true},
		{Title: o.word("Resolved, mean", "해결 평균"), Width: 24, Right: true},
	}}
	for _, s := range o.cases.BySeverity {
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: o.severity(s.Severity), Mark: markOfSeverity(s.Severity)}, {Text: number(s.Created)}, {Text: number(s.Closed)}, {Text: number(s.SLAMet)}, {Text: number(s.Open)}, {Text: o.took(s.Acknowledge.Mean)}, {Text: o.took(s.Contain.Mean)}, {Text: o.took(s.Resolve.Mean)}}})
	}
	o.add(t)
}

func (o *operator) sources(ctx context.Context) error {
	if o.s.Sources == nil {
		return nil
	}
	n, err := o.s.Sources(ctx, o.run.Tenant)
	if err != nil {
		return err
	}
	o.part("Log sources", "로그 소스")
	o.add(paper.Facts{Items: []paper.Fact{
		{Name: o.word("Sending", "수신 중"), Value: number(n.Active)},
		{Name: o.word("Silent", "침묵"), Value: number(n.Silent)},
		{Name: o.word("Others", "기타"), Value: number(n.Other)},
		{Name: o.word("Events per hour, of late", "최근 시간당 이벤트"), Value: number(int64(n.PerHour))},
	}})
	t := paper.Table{Title: o.word("What sends most", "수신량이 많은 소스"), Columns: []paper.Column{{Title: o.word("Product", "제품"), Width: 94}, {Title: o.word("Sources", "소스 수"), Width: 30, Right: true}, {Title: o.word("Events per hour", "시간당 이벤트"), Width: 50, Right: true}}, Empty: o.word("Nothing sends logs.", "로그를 보내는 소스가 없습니다.")}
	for _, s := range n.Top {
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: s.Name}, {Text: number(s.Sources)}, {Text: number(int64(s.PerHour))}}})
	}
	o.add(t)
	return nil
}

// frameworks is how every framework stands now.
func (o *operator) frameworks(ctx context.Context) error {
	all, err := o.s.Builder.Compliance.Views(ctx, o.run.Tenant, "", o.s.now())
	if err != nil {
		return err
	}
	o.part("Compliance", "컴플라이언스")
	o.say("How the frameworks stand at present within the monitored scope. This is no certificate.", "모니터링 범위 안에서 현재 프레임워크별 현황입니다. 인증서가 아닙니다.")
	b := paper.Bars{Title: o.word("Controls by framework and status", "프레임워크별 통제 상태"), Series: o.series()}
	var told []string
	for _, v := range all {
		b.Items = append(b.Items, bar(v.Framework.Name, &v.Coverage))
		told = append(told, o.described(v.Framework.Name, &v.Coverage))
	}
	b.Description = strings.Join(told, ". ")
	o.add(b)
	return nil
}

func (o *operator) incidentReport(ctx context.Context) error {
	o.section("Summary", "요약")
	o.head()
	o.responses()
	o.section("Incidents of the period", "기간 중 사고")
	const most = 1000
	t := paper.Table{Columns: []paper.Column{
		{Title: o.word("Incident", "사고"), Width: 60}, {Title: o.word("Severity", "심각도"), Width: 24}, {Title: o.word("Status", "상태"), Width: 24}, {Title: o.word("Made", "발생"), Width: 26}, {Title: o.word("Acknowledged and resolved", "인지와 해결"), Width: 28}, {Title: o.word("Alerts", "경보"), Width: 12, Right: true},
	}, Empty: o.word("No incident was made in the period.", "기간 중 발생한 사고가 없습니다.")}
	data := paper.Table{Columns: []paper.Column{
		{Title: "id"}, {Title: "title"}, {Title: "severity"}, {Title: "status"}, {Title: "createdAt"}, {Title: "acknowledgedAt"}, {Title: "containedAt"}, {Title: "closedAt"}, {Title: "slaDueAt"}, {Title: "assignedTo"}, {Title: "alerts"}, {Title: "tactic"}, {Title: "technique"},
	}}
	stamp := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	after := func(from time.Time, to *time.Time) string {
		if to == nil {
			return "–"
		}
		return o.took(max(to.Sub(from), time.Second))
	}
	left := 0
	for in, err := range o.s.Builder.Incidents.Stream(ctx, o.run.Tenant, incident.Filter{CreatedFrom: o.from, CreatedTo: o.to}) {
		if err != nil {
			return err
		}
		if in.MergedInto != "" {
			continue
		}
		data.Rows = append(data.Rows, paper.Row{Cells: []paper.Cell{
			{Text: in.ID},
			{Text: in.Title},
			{Text: in.Severity},
			{Text: string(in.Status)},
			{Text: stamp(&in.CreatedAt)},
			{Text: stamp(in.AcknowledgedAt)},
			{Text: stamp(in.ContainedAt)},
			{Text: stamp(in.ClosedAt)},
			{Text: stamp(&in.SLADueAt)},
			{Text: in.AssignedTo},
			{Text: fmt.Sprint(in.AlertCount)},
			{Text: in.Tactic},
			{Text: in.Technique},
		}})
		if len(t.Rows) >= most {
			left++
			continue
		}
		late := ""
		if in.ClosedAt != nil && in.ClosedAt.After(in.SLADueAt) || in.ClosedAt == nil && in.OverdueAt != nil {
			late = o.word("overdue", "기한 초과")
		}
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{
			{Text: in.Title, Below: in.ID},
			{Text: o.severity(in.Severity), Mark: markOfSeverity(in.Severity)},
			{Text: o.state(in.Status), Below: late},
			{Text: minute(in.CreatedAt, o.zone), Below: orDash(in.AssignedTo)},
			{Text: after(in.CreatedAt, in.AcknowledgedAt), Below: after(in.CreatedAt, in.ClosedAt)},
			{Text: number(in.AlertCount)},
		}})
	}
	o.add(t)
	if left > 0 {
		o.say("%s more incidents are in the CSV of this report.", "그 밖의 사고 %s건은 이 보고서의 CSV에 있습니다.", number(int64(left)))
	}
	o.doc.Data = &data
	return nil
}

func (o *operator) state(s incident.Status) string {
	switch s {
	case incident.Contained:
		return o.word("Contained", "봉쇄")
	case incident.Eradicated:
		return o.word("Eradicated", "제거")
	case incident.Recovered:
		return o.word("Recovered", "복구")
	case incident.Closed:
		return o.word("Closed", "종결")
	case incident.Open:
	}
	return o.word("Open", "미처리")
}

func (o *operator) threat(ctx context.Context) error {
	o.section("Summary", "요약")
	o.head()
	a, b := o.now, o.before
	o.byDay()
	o.section("What was detected", "탐지 내용")
	o.ranking(o.word("Tactics", "전술"), o.word("Tactic", "전술"), a.Tactics, b.Tactics)
	o.ranking(o.word("Techniques", "기법"), o.word("Technique", "기법"), a.Techniques, b.Techniques)
	o.ranking(o.word("Rules", "규칙"), o.word("Rule", "규칙"), a.Rules, b.Rules)
	o.ranking(o.word("Who and what was concerned", "관련 대상"), o.word("Entity", "대상"), a.Entities, b.Entities)
	o.ranking(o.word("Where it was seen", "탐지 출처"), o.word("Source", "출처"), a.Sources, b.Sources)
	data := paper.Table{Columns: []paper.Column{{Title: "kind"}, {Title: "id"}, {Title: "name"}, {Title: "worst"}, {Title: "alerts"}, {Title: "before"}}}
	for _, x := range []struct {
		kind         string
		list, before []alert.Ranked
	}{{"tactic", a.Tactics, b.Tactics}, {"technique", a.Techniques, b.Techniques}, {"rule", a.Rules, b.Rules}, {"entity", a.Entities, b.Entities}, {"source", a.Sources, b.Sources}} {
		for _, r := range x.list {
			had := int64(0)
			if i := slices.IndexFunc(x.before, func(b alert.Ranked) bool { return b.ID == r.ID }); i >= 0 {
				had = x.before[i].Count
			}
			data.Rows = append(data.Rows, paper.Row{Cells: []paper.Cell{{Text: x.kind}, {Text: r.ID}, {Text: r.Name}, {Text: r.Worst}, {Text: fmt.Sprint(r.Count)}, {Text: fmt.Sprint(had)}}})
		}
	}
	o.doc.Data = &data
	if err := o.coverage(ctx); err != nil {
		return err
	}
	return o.sources(ctx)
}

// coverage is what rules could see at all.
func (o *operator) coverage(ctx context.Context) error {
	if o.s.Coverage == nil {
		return nil
	}
	all, err := o.s.Coverage(ctx, o.run.Tenant)
	if err != nil {
		return err
	}
	o.part("What could be detected", "탐지 범위")
	o.say("Active rules by tactic of MITRE ATT&CK at present. A blind rule waits for a log source that sends nothing.", "현재 활성 규칙을 MITRE ATT&CK 전술별로 나타냅니다. 입력 로그가 없는 규칙은 별도로 표시합니다.")
	t := paper.Table{Columns: []paper.Column{
		{Title: o.word("Tactic", "전술"), Width: 66}, {Title: o.word("Rules that see", "탐지 가능 규칙"), Width: 26, Right: true}, {Title: o.word("Blind rules", "입력 없는 규칙"), Width: 26, Right: true}, {Title: o.word("Techniques covered", "포함된 기법"), Width: 28, Right: true}, {Title: o.word("With alerts, 30 days", "30일 내 경보"), Width: 28, Right: true},
	}, Empty: o.word("No rule names a tactic.", "전술이 지정된 규칙이 없습니다.")}
	for _, x := range all {
		t.Rows = append(t.Rows, paper.Row{Cells: []paper.Cell{{Text: x.Name}, {Text: fmt.Sprint(x.Rules)}, {Text: fmt.Sprint(x.Blind)}, {Text: fmt.Sprint(x.Techniques)}, {Text: fmt.Sprint(x.Alerted)}}})
	}
	o.add(t)
	return nil
}
