package compliance_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func TestText(t *testing.T) {
	text := compliance.Say("%s: %s.", compliance.Say("%s people have a second factor, %d of %d administrators", compliance.Say("%d of %d (%s)", 8, int64(10), "80 %"), 1, 2),
		compliance.List("; ", []compliance.Text{compliance.Say("replace or revoke %s", "a"), compliance.Say("95 %% of records are in the event store within %s", compliance.Say("%s s", "2"))}))
	for lang, want := range map[string]string{
		"en": "8 of 10 (80 %) people have a second factor, 1 of 2 administrators: replace or revoke a; 95 % of records are in the event store within 2 s.",
		"ko": "2차 인증 사용자: 10 중 8(80 %), 관리자 2명 중 1명. 조치: 교체 또는 폐기: a; 기록의 95 %가 2초 안에 저장됨.",
		"ja": "二要素認証の利用者: 10 中 8（80 %）、管理者 2 人中 1 人。対応: 交換または失効: a; 記録の 95 % が 2秒 以内に保存。",
		"fr": "8 of 10 (80 %) people have a second factor, 1 of 2 administrators: replace or revoke a; 95 % of records are in the event store within 2 s.",
	} {
		if got := text.In(lang); got != want {
			t.Errorf("%s: %s\nwant %s", lang, got, want)
		}
	}
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var back compliance.Text
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(text, back); d != "" {
		t.Errorf("read back: %s", d)
	}
	if got := compliance.Say("a word with % in it").String(); got != "a word with % in it" {
		t.Errorf("without arguments: %q", got)
	}
}

// What was found, and why a status changed, is kept so that it can be read in Korean.
func TestReasonsAreKeptInEveryLanguage(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := compliance.New(compliance.Config{DB: db})
		said := compliance.Say("%s.", compliance.Say("The last backup was made %s ago", compliance.Say("%s h", "30")))
		variants, err := s.Variants(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		var results []compliance.Result
		for _, v := range variants {
			r := compliance.Result{Variant: v.Key(), Check: v.Check, Outcome: compliance.Fail, Reason: said.String(), Said: said, Population: compliance.Population{Size: 1}, CollectedAt: time.Now()}
			if v.Check == "mfa-all" {
				r.Outcome, r.Population.Size = compliance.Pass, 0 // of nothing
			}
			results = append(results, r)
		}
		if err := s.SaveResults(t.Context(), db, 7, results); err != nil {
			t.Fatal(err)
		}
		kept, err := s.Results(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		for variant, want := range map[string]string{"platform-backup": "마지막 백업 30시간 전.", "mfa-all": "점검할 대상이 없음. 마지막 백업 30시간 전."} {
			if r := kept[variant]; r == nil || r.ReasonIn("ko") != want || r.ReasonIn("en") != r.Reason {
				t.Errorf("%s: %+v", variant, r)
			}
		}
		changes, _, err := s.Changes(t.Context(), 7, compliance.ChangeFilter{}, compliance.Slice{Size: 1})
		if err != nil || len(changes) != 1 {
			t.Fatal(changes, err)
		}
		if c := changes[0]; c.ReasonIn("en") != c.Reason || c.ReasonIn("ko") != c.Why.In("ko") || c.ReasonIn("ko") == c.Reason {
			t.Errorf("%+v", c)
		}
	})
}
