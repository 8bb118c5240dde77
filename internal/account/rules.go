package account

import "time"

// Rules are what binds passwords and sign-ins of all tenants, for those who have to show
// it.
type Rules struct {
	MinPassword  int           // characters
	RefuseCommon bool          // passwords that guessers try first
	Tries        int           // wrong ones in a row before an account has to wait
	LongestWait  time.Duration // the waiting doubles up to it
}

// RulesOf tells the rules.
func RulesOf() Rules {
	return Rules{MinPassword: MinPassword, RefuseCommon: true, Tries: int(byAccount.free), LongestWait: byAccount.most}
}
