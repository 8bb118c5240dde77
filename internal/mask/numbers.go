package mask

// Number patterns all are runs of digits with single blanks or hyphens between. The
// shortest, a mobile number without any, has eleven bytes: looking at every eleventh
// byte of a record meets each of them.
const (
	minNumber = 11
	maxNumber = 32
)

// member marks the bytes that numbers are made of.
var member = func() (t [256]bool) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = true
	}
	t[' '], t['-'], t['+'] = true, true, true
	return t
}()

// numbers adds cards, resident registration numbers and mobile numbers.
func (s *Set) numbers(edits []edit, r string) []edit {
	for i := minNumber - 1; i < len(r); {
		if !member[r[i]] {
			i += minNumber
			continue
		}
		from := i
		for from > 0 && member[r[from-1]] {
			from--
		}
		to := i + 1
		for to < len(r) && member[r[to]] {
			to++
		}
		if to-from >= minNumber {
			edits = s.run(edits, r, from, to)
		}
		i = to + minNumber - 1
	}
	return edits
}

// run adds the numbers in r[from:to], which holds digits, blanks, hyphens and plusses.
func (s *Set) run(edits []edit, r string, from, to int) []edit {
	for i := from; i <= to-minNumber; {
		if !isDigit(r[i]) || i > 0 && (isDigit(r[i-1]) || !boundary(r, i)) {
			i++
			continue
		}
		end, kind := 0, Kind(0)
		if s.patterns[Card] != "" {
			end, kind = card(r, i, to), Card
		}
		if end == 0 && s.patterns[ResidentNumber] != "" {
			end, kind = resident(r, i, to), ResidentNumber
		}
		if end == 0 && s.patterns[Phone] != "" {
			end, kind = mobile(r, i, to), Phone
		}
		if end == 0 {
			i++
			continue
		}
		start := i
		if kind == Phone && i > 0 && r[i-1] == '+' {
			start--
		}
		edits = append(edits, edit{start: start, end: end, kind: kind, action: s.patterns[kind]})
		i = end
	}
	return edits
}

// boundary tells whether a number may begin at i > 0: not within a word, a fraction or
// a longer chain of digits.
func boundary(r string, i int) bool {
	c := r[i-1]
	switch {
	case isLetter(c):
		// The n of \n, or the digits of %3D, are no word.
		return i >= 2 && r[i-2] == '\\' && oddSlashes(r[:i-1]) || i >= 3 && r[i-3] == '%' && isHex(r[i-2]) && isHex(c)
	case c == '.' || c == '-':
		return i < 2 || !isDigit(r[i-2])
	}
	return true
}

// ends tells whether a number may end before i.
func ends(r string, i int) bool {
	if i == len(r) {
		return true
	}
	switch c := r[i]; {
	case isAlnum(c):
		return false
	case c == '.' || c == '-':
		return i+1 == len(r) || !isDigit(r[i+1])
	}
	return true
}

// groups reads runs of digits with one and the same separator between, at most five:
// how long they are.
func groups(r string, i, to int) (sizes [5]int, n int) {
	sep := byte(0)
	for n < len(sizes) {
		start := i
		for i < to && isDigit(r[i]) {
			i++
		}
		if i == start {
			return sizes, n
		}
		sizes[n] = i - start
		n++
		if i == to || r[i] != ' ' && r[i] != '-' || sep != 0 && r[i] != sep {
			return sizes, n
		}
		sep = r[i]
		i++
	}
	return sizes, n
}

// layouts are how cards are printed, the longest first.
var layouts = [][]int{{4, 4, 4, 4, 3}, {4, 4, 4, 4}, {4, 6, 5}, {4, 6, 4}}

// card returns the end of the card number at i, or 0.
func card(r string, i, to int) int {
	if !mayBeCard[r[i]] {
		return 0
	}
	sizes, n := groups(r, i, to)
	if n >= 1 && sizes[0] >= 13 {
		if end := i + sizes[0]; sizes[0] <= 19 && ends(r, end) && plausible(r[i:end]) {
			return end
		}
		return 0
	}
next:
	for _, layout := range layouts {
		if n < len(layout) {
			continue
		}
		end := i + len(layout) - 1
		for k, size := range layout {
			if sizes[k] != size {
				continue next
			}
			end += size
		}
		if ends(r, end) && plausible(onlyDigits(r[i:end])) {
			return end
		}
	}
	return 0
}

var mayBeCard = [256]bool{'2': true, '3': true, '4': true, '5': true, '6': true, '9': true}

// plausible tells whether digits are a card number of an issuer that exists: prefix,
// length and the check digit of ISO/IEC 7812 (Luhn).
func plausible(digits string) bool {
	n := len(digits)
	head := func(k int) int {
		v := 0
		for _, c := range []byte(digits[:k]) {
			v = v*10 + int(c-'0')
		}
		return v
	}
	h1, h2, h3, h4 := head(1), head(2), head(3), head(4)
	known := false
	switch {
	case h1 == 4: // Visa
		known = n == 13 || n == 16 || n == 19
	case h2 >= 51 && h2 <= 55, h4 >= 2221 && h4 <= 2720: // Mastercard
		known = n == 16
	case h2 == 34, h2 == 37: // American Express
		known = n == 15
	case h4 >= 3528 && h4 <= 3589: // JCB
		known = n >= 16
	case h3 >= 300 && h3 <= 305, h2 == 36, h2 == 38, h2 == 39: // Diners Club
		known = n == 14 || n == 16
	case h4 == 6011, h2 == 65, h3 >= 644 && h3 <= 649, h2 == 62: // Discover, UnionPay
		known = n >= 16
	case h1 == 9: // cards for Korea alone
		known = n == 16
	}
	if !known {
		return false
	}
	sum, same := 0, true
	for k := range n {
		d := int(digits[n-1-k] - '0')
		if k%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		same = same && digits[k] == digits[0]
	}
	return sum%10 == 0 && !same
}

// resident returns the end of the Korean resident (or alien) registration number at i,
// or 0: YYMMDD, a digit for century and sex, six more digits.
//
// Numbers given out since October 2020 have a random tail and no check digit. Written
// with the hyphen, which little else has between six and seven digits, a valid date is
// enough. Thirteen digits in a row are taken only with the right check digit, or for
// who was born after that change: milliseconds since 1970 look alike.
func resident(r string, i, to int) int {
	sizes, n := groups(r, i, to)
	switch {
	case n >= 1 && sizes[0] == 13:
		if d := r[i : i+13]; ends(r, i+13) && birthday(d) && (checked(d) || bornWithout(d)) {
			return i + 13
		}
	case n >= 2 && sizes[0] == 6 && sizes[1] == 7 && r[i+6] == '-':
		if ends(r, i+14) && birthday(r[i:i+6]+r[i+7:i+14]) {
			return i + 14
		}
	}
	return 0
}

func two(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

// birthday tells whether d begins with a date and a digit that says in which century.
func birthday(d string) bool {
	year, month, day := two(d), two(d[2:]), two(d[4:])
	switch d[6] {
	case '9', '0':
		year += 1800
	case '1', '2', '5', '6':
		year += 1900
	default: // 3, 4, 7, 8
		year += 2000
	}
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	last := 31
	switch month {
	case 4, 6, 9, 11:
		last = 30
	case 2:
		last = 28
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			last = 29
		}
	}
	return day <= last
}

// checked tells whether the last digit of d checks the others: 11 less their weighted
// sum modulo 11; for aliens two more.
func checked(d string) bool {
	sum := 0
	for k, weight := range [12]int{2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5} {
		sum += weight * int(d[k]-'0')
	}
	base := 11
	if d[6] >= '5' && d[6] <= '8' {
		base = 13
	}
	return (base-sum%11)%10 == int(d[12]-'0')
}

// bornWithout tells whether d was given to somebody born after numbers lost their
// check digit on 5 October 2020; until 2039, as this century's numbers go on.
func bornWithout(d string) bool {
	switch d[6] {
	case '3', '4', '7', '8':
		return d[:6] >= "201005" && d[:2] < "40"
	}
	return false
}

// mobile returns the end of the Korean mobile number at i, or 0: 010-1234-5678, or
// with 82 for the country.
func mobile(r string, i, to int) int {
	sizes, n := groups(r, i, to)
	start := i
	if n >= 1 && r[i] == '8' {
		switch {
		case sizes[0] == 2 && r[i+1] == '2' && n >= 4: // 82 10 1234 5678
			i, n = i+3, n-1
			copy(sizes[:], sizes[1:])
			if r[i] == '1' && sizes[0] == 2 {
				return tail(r, i, sizes[1:], start)
			}
		case i > 0 && r[i-1] == '+' && sizes[0] == 12 && r[i:i+4] == "8210":
			if ends(r, i+12) {
				return i + 12
			}
			return 0
		}
	}
	if n == 0 || r[i] != '0' || i+2 >= len(r) || r[i+1] != '1' {
		return 0
	}
	switch r[i+2] {
	case '0', '1', '6', '7', '8', '9':
	default:
		return 0
	}
	if sizes[0] == 11 && r[i+2] == '0' {
		if ends(r, i+11) {
			return i + 11
		}
		return 0
	}
	if sizes[0] == 3 && n >= 3 {
		return tail(r, i, sizes[1:], start)
	}
	return 0
}

// tail returns the end of a number whose first group stands at i, if two groups of
// three or four, and four digits follow.
func tail(r string, i int, sizes []int, start int) int {
	if sizes[0] != 3 && sizes[0] != 4 || sizes[1] != 4 {
		return 0
	}
	end := i
	for !isSeparator(r[end]) {
		end++
	}
	if end += sizes[0] + sizes[1] + 2; ends(r, end) && end > start {
		return end
	}
	return 0
}

func isSeparator(c byte) bool { return c == ' ' || c == '-' }
