package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/report/paper"
)

// method names how this report is made; it rises when what it says or how it reckons
// changes.
const method = "2"

// writer composes one report.
type writer struct {
	Language
	*Model
	doc     *paper.Document
	numbers map[string]string // of evidence, by its id
	ordered []string          // ids in that order
	kept    map[string]*evidence.Kept
}

// Compose words the model. The document's second value is its hash, which names the state
// that it tells of: the same state gives the same hash and the same bytes.
func Compose(m *Model, l Language) (*paper.Document, string, error) {
	w := &writer{Language: l, Model: m, numbers: map[string]string{}, kept: map[string]*evidence.Kept{}}
	for i := range m.Evidence {
		w.kept[m.Evidence[i].ID] = &m.Evidence[i]
	}
	for i := range m.View.Controls {
		for _, id := range m.View.Controls[i].Evidence() {
			w.number(id)
		}
	}
	f := m.View.Framework
	w.doc = &paper.Document{
		Language: string(l), Kind: l.s("Compliance status report", "컴플라이언스 현황 보고서"), Title: l.title(f.Name, f.NameKo), Subtitle: f.Version, Organisation: m.Organisation,
		AsOf: m.AsOf, Contents: l.s("Contents", "목차"), Page: l.s("Page", "쪽"),
	}
	w.cover()
	w.summary()
	w.scope()
	w.domains()
	w.trend()
	w.gaps()
	w.controls()
	w.special()
	w.evidence()
	w.exceptions()
	w.attestations()
	w.incidents()
	w.signOff()
	w.annex()
	text, err := json.Marshal(w.doc)
	if err != nil {
		return nil, "", fmt.Errorf("hash report: %w", err)
	}
	sum := sha256.Sum256(append([]byte("kyra report "+method+"\x00"), text...))
	id := hex.EncodeToString(sum[:])
	w.doc.Cover = append(w.doc.Cover, paper.Fact{Name: l.s("Report id", "보고서 번호"), Value: id[:32]})
	return w.doc, id, nil
}

func (w *writer) add(b ...paper.Block) { w.doc.Blocks = append(w.doc.Blocks, b...) }

// section begins a section on a page of its own.
func (w *writer) section(en, ko string) {
	w.add(paper.Heading{Level: 1, Text: w.s(en, ko), NewPage: true})
}

// part begins a section that needs no page of its own.
func (w *writer) part(en, ko string) {
	w.add(paper.Heading{Level: 1, Text: w.s(en, ko)})
}

func (w *writer) sub(en, ko string) { w.add(paper.Heading{Level: 2, Text: w.s(en, ko)}) }

func (w *writer) say(en, ko string, args ...any) {
	w.add(paper.Text{Text: w.f(en, ko, args...)})
}

// number is the short name of evidence: E1, E2, …
func (w *writer) number(id string) string {
	n, ok := w.numbers[id]
	if !ok {
		w.ordered = append(w.ordered, id)
		n = fmt.Sprintf("E%d", len(w.ordered))
		w.numbers[id] = n
	}
	return n
}

func (w *writer) numbered(ids []string) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		out = append(out, w.number(id))
	}
	return out
}

func (w *writer) control(k *compliance.Control) string { return w.title(k.Title, k.TitleKo) }

func (w *writer) domain(id string) string {
	if d := w.View.Framework.Domain(id); d != nil {
		return w.title(d.Title, d.TitleKo)
	}
	return id
}

// check is the title of a check.
func (w *writer) check(id string) string {
	if c := w.Checks(id); c != nil {
		return w.title(c.Title, c.TitleKo)
	}
	return id
}

func (w *writer) cover() {
	f, v := w.View.Framework, w.View
	fact := func(en, ko, value string) {
		w.doc.Cover = append(w.doc.Cover, paper.Fact{Name: w.s(en, ko), Value: value})
	}
	fact("Framework", "프레임워크", f.Name+", "+f.Version)
	fact("Issued by", "발행 기관", orDash(f.Authority))
	fact("Profile", "프로필", w.profile(v.Profile))
	fact("Period", "대상 기간", day(w.From, w.Zone)+" – "+day(w.To, w.Zone))
	fact("Status as of", "기준 시각", moment(w.AsOf, w.Zone))
	fact("Classification", "문서 등급", w.s("Confidential: for the organisation and its auditors", "대외비: 해당 조직 및 심사원용"))
	w.doc.CoverNote = w.f(
		"This report shows the status of controls within the monitored scope on %s. It is not a certificate and no opinion of an auditor. What was not measured and not attested is shown as not assessed, never as fulfilled.",
		"이 보고서는 모니터링 범위 안에서 %s 기준 통제 현황을 보여 줍니다. 인증서가 아니며 심사원의 의견도 아닙니다. 측정되지 않았고 담당자의 확인도 없는 통제는 이행된 것으로 보지 않고 미평가로 표시합니다.",
		day(w.AsOf, w.Zone))
	w.doc.Running = strings.Join([]string{f.Name, string(v.Profile), w.Organisation, w.f("status as of %s", "%s 기준", day(w.AsOf, w.Zone)), w.s("not a certificate", "인증서 아님")}, " · ")
}

// series are the four statuses that a total is made of.
func (w *writer) series() []paper.Series {
	all := []compliance.Status{compliance.Compliant, compliance.Partial, compliance.NonCompliant, compliance.NotAssessed}
	out := make([]paper.Series, len(all))
	for i, s := range all {
		out[i] = paper.Series{Label: w.status(s), Mark: markOf(s)}
	}
	return out
}

func bar(label string, c *compliance.Coverage) paper.Bar {
	return paper.Bar{Label: label, Values: []int64{int64(c.Compliant), int64(c.Partial), int64(c.NonCompliant), int64(c.NotAssessed)}, Right: points(c.Score) + " %"}
}

func (w *writer) summary() {
	c := &w.View.Coverage
	w.section("Summary", "요약")
	w.add(paper.Tiles{Items: []paper.Tile{
		{Value: points(c.Score) + " %", Label: w.s("Score", "점수"), Note: w.f("of %d controls in the profile", "프로필 내 통제 %d개 기준", c.Total)},
		{Value: points(c.AssessedScore) + " %", Label: w.s("Of what was assessed", "평가된 통제 기준"), Note: w.f("%d of %d controls", "통제 %d / %d개", c.Total-c.NotAssessed, c.Total)},
		{Value: points(c.EvidenceCoverage) + " %", Label: w.s("Evidence coverage", "증적 확보율"), Note: w.s("controls with a live result", "유효한 점검 결과가 있는 통제")},
	}})
	w.add(paper.Bars{
		Title: w.s("All controls by status", "전체 통제 상태"), Description: w.described("", c), Series: w.series(),
		Items: []paper.Bar{bar(w.s("All controls", "전체 통제"), c)},
	})
	var items []string
	say := func(en, ko string, args ...any) { items = append(items, w.f(en, ko, args...)) }
	say("%d controls are compliant, %d partial, %d non-compliant and %d not assessed; %d are not applicable and have left the total.",
		"적합 %d개, 부분 적합 %d개, 부적합 %d개, 미평가 %d개입니다. 해당 없음 %d개는 합계에서 제외하였습니다.", c.Compliant, c.Partial, c.NonCompliant, c.NotAssessed, c.NotApplicable)
	if c.ReadyToAttest > 0 {
		say("%d controls are ready to attest: every check passes and only a person's word is missing.", "%d개 통제는 모든 점검을 통과하여 담당자의 확인만 남아 있습니다.", c.ReadyToAttest)
	}
	if c.Stale > 0 {
		say("%d controls rely on evidence that is too old to count.", "%d개 통제의 증적이 유효 기간을 지났습니다.", c.Stale)
	}
	if n := len(w.Days); n > 1 {
		first, last := &w.Days[n-1], &w.Days[0]
		say("Since %s the score changed by %s points, from %s to %s.", "%s 이후 점수 변동: %s점 (%s → %s).", day(first.Day, w.Zone), change(last.Coverage.Score-first.Coverage.Score), points(first.Coverage.Score), points(last.Coverage.Score))
	}
	if worst := w.worst(); len(worst) > 0 {
		say("Domains that score lowest: %s.", "점수가 가장 낮은 영역: %s.", strings.Join(worst, "; "))
	}
	if n := w.open(); n > 0 {
		say("%d exceptions are open.", "유효한 예외가 %d건 있습니다.", n)
	} else {
		say("No exception is open.", "유효한 예외가 없습니다.")
	}
	w.add(paper.Points{Items: items})
	if w.View.EvaluatedAt.IsZero() {
		w.add(paper.Note{Mark: paper.Middling, Text: w.s("Nothing has been evaluated yet: no check has run for this organisation.", "아직 평가된 점검이 없습니다.")})
	}
}

// described tells a bar to those who cannot see it.
func (w *writer) described(name string, c *compliance.Coverage) string {
	if name != "" {
		name += ": "
	}
	return name + w.f("compliant %d, partial %d, non-compliant %d, not assessed %d", "적합 %d, 부분 적합 %d, 부적합 %d, 미평가 %d", c.Compliant, c.Partial, c.NonCompliant, c.NotAssessed)
}

// worst are the five domains that score lowest, those that are whole left out.
func (w *writer) worst() []string {
	all := w.View.Domains()
	slices.SortStableFunc(all, func(a, b compliance.DomainCoverage) int { return int(a.Score - b.Score) })
	var out []string
	for i := range all {
		if d := &all[i]; d.Total > 0 && d.Score < 10000 && len(out) < 5 {
			out = append(out, w.title(d.Domain.Title, d.Domain.TitleKo)+" ("+points(d.Score)+" %)")
		}
	}
	return out
}

// open counts the exceptions that hold.
func (w *writer) open() int {
	seen := map[string]bool{}
	for i := range w.View.Controls {
		for _, e := range w.View.Controls[i].Exceptions {
			seen[e.ID] = true
		}
	}
	return len(seen)
}

func (w *writer) domains() {
	w.section("Score by domain", "영역별 점수")
	all := w.View.Domains()
	b := paper.Bars{Title: w.s("Controls by domain and status", "영역별 통제 상태"), Series: w.series()}
	t := paper.Table{Title: w.s("The same as a table", "표"), Columns: []paper.Column{
		{Title: w.s("Domain", "영역"), Width: 57},
		{Title: w.status(compliance.Compliant), Width: 20, Right: true},
		{Title: w.status(compliance.Partial), Width: 18, Right: true},
		{Title: w.status(compliance.NonCompliant), Width: 26, Right: true},
		{Title: w.status(compliance.NotAssessed), Width: 22, Right: true},
		{Title: w.s("Total", "합계"), Width: 13, Right: true},
		{Title: w.s("Score %", "점수 %"), Width: 18, Right: true},
	}}
	row := func(name string, c *compliance.Coverage, whole bool) {
		cells := []paper.Cell{{Text: name, Strong: whole}}
		for _, n := range []int{c.Compliant, c.Partial, c.NonCompliant, c.NotAssessed, c.Total} {
			cells = append(cells, paper.Cell{Text: number(int64(n)), Strong: whole})
		}
		t.Rows = append(t.Rows, paper.Row{Cells: append(cells, paper.Cell{Text: points(c.Score), Strong: whole})})
	}
	var told []string
	for i := range all {
		d := &all[i]
		name := w.title(d.Domain.Title, d.Domain.TitleKo)
		b.Items = append(b.Items, bar(name, &d.Coverage))
		told = append(told, w.described(name, &d.Coverage))
		row(name, &d.Coverage, false)
	}
	row(w.s("All domains", "전체"), &w.View.Coverage, true)
	b.Description = strings.Join(told, ". ")
	w.add(b, t)
}

// trend shows the end of each of the last 12 months.
func (w *writer) trend() {
	w.part("Trend", "추이")
	var months []compliance.Day // the newest first
	for i := range w.Days {
		d := &w.Days[i]
		if n := len(months); n == 0 || months[n-1].Day.Format("2006-01") != d.Day.Format("2006-01") {
			months = append(months, *d)
		}
	}
	months = months[:min(len(months), 12)]
	if len(months) == 0 {
		w.say("No history is kept for this profile yet: it begins with the first full day.", "이 프로필의 이력이 아직 없습니다. 첫 하루가 끝나면 쌓이기 시작합니다.")
		return
	}
	w.say("The score at the end of each month, with the settings that it was reckoned by; the last point is the newest day.", "매월 말 점수와 산정 설정입니다. 마지막 점은 가장 최근 날짜입니다.")
	t := paper.Trend{Title: w.s("Score, per cent", "점수 (%)"), Highest: 100}
	tab := paper.Table{Columns: []paper.Column{
		{Title: w.s("Day", "날짜"), Width: 26},
		{Title: w.s("Score %", "점수 %"), Width: 20, Right: true},
		{Title: w.status(compliance.Compliant), Width: 20, Right: true},
		{Title: w.status(compliance.Partial), Width: 20, Right: true},
		{Title: w.status(compliance.NonCompliant), Width: 26, Right: true},
		{Title: w.status(compliance.NotAssessed), Width: 22, Right: true},
		{Title: w.s("Weight of partial", "부분 적합 가중치"), Width: 24, Right: true},
		{Title: w.s("Strict", "엄격"), Width: 12},
	}}
	var told []string
	for i := len(months) - 1; i >= 0; i-- {
		d := &months[i]
		c := &d.Coverage
		t.Points = append(t.Points, paper.Point{Label: d.Day.Format("2006-01"), Value: float64(c.Score) / 100})
		told = append(told, d.Day.Format("2006-01-02")+": "+points(c.Score))
		cells := []paper.Cell{{Text: d.Day.Format("2006-01-02")}, {Text: points(c.Score)}}
		for _, n := range []int{c.Compliant, c.Partial, c.NonCompliant, c.NotAssessed} {
			cells = append(cells, paper.Cell{Text: number(int64(n))})
		}
		tab.Rows = append(tab.Rows, paper.Row{Cells: append(cells, paper.Cell{Text: fmt.Sprintf("%d.%02d", d.Weight/100, d.Weight%100)}, paper.Cell{Text: w.yes(d.Strict)})})
	}
	t.Description = strings.Join(told, "; ")
	if len(t.Points) > 1 { // one point is no trend
		w.add(t)
	}
	w.add(tab)
}

func (w *writer) yes(b bool) string {
	if b {
		return w.s("yes", "예")
	}
	return w.s("no", "아니오")
}
