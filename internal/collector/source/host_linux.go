package source

func hostKinds() map[string]kind { return map[string]kind{"journald": of(newJournald)} }
