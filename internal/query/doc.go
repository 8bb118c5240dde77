// Package query is the language of the event search: text to tree, tree to
// text, and what a tree means. It knows nothing of any store, and no user text
// ever becomes store syntax: stores translate the tree.
//
// # The language
//
//	program:sshd user:root                   both must hold; AND may be left out
//	user:(root OR admin) -action:login       brackets inside a field; - and ! and NOT negate
//	"failed password" 203.0.113.7            words and phrases anywhere in the event
//	user:adm* url_path:*.php host:web-0?     * is any characters, ? is one
//	http_status:[400 TO 499] src_port:>1023  { } leave the bound out, * is no bound
//	timestamp:[2011-04-01 TO 2011-04-30]     days, or 2011-04-01T10:30:00Z
//	src_ip:10.0.0.0/8 ip:fe80::/10           networks; ip is any address field
//	target_user:*                            has the field
//	url_path:/union.{1,20}select/            regular expression (RE2), no blanks in it
//	*                                        everything, as is an empty query
//
// AND binds stronger than OR (&& and || are the same); both are in capitals. In
// small letters they are operators only between two clauses that are not bare
// words, so that "user not found" is three words and "a:1 or b:2" is a choice.
// + before a clause is allowed and changes nothing.
//
// A backslash takes the meaning from the next character where that has one:
// blank + - ! ( ) : " [ ] { } ^ ~ * ? \ / & | < > =. Elsewhere it stands for itself. In
// quotes only \" and \\ are special, and * and ? are plain characters.
//
// # What matches
//
// Case never matters, except in regular expressions. Two texts are equal when
// their lower-case forms (Unicode, one character to one) are.
//
// Names may be canonical (user), an alias (user.name) or a source's own
// (TargetUserName). An alias finds the canonical field and also a field of
// exactly the alias's name. A field with several values matches when one does.
// The value of id is the event's id, that of raw its text as received.
//
// field:value compares the whole value; field:"" finds an empty value; patterns
// cover the whole value.
//
// In message, in raw and without a field, words are searched: the text must
// contain the word or phrase, and not as a part of a longer word. Words are made
// of letters, digits and underscores. No word border is asked for beside Han,
// Hangul, Kana, Thai, Lao, Khmer or Myanmar script at the edge of the search
// text. In patterns, * and ? stand for anything but blanks here, and a star at
// the edge asks for no border: fail* is a word's begin, *pass* is anywhere.
//
// Without a field the whole event is searched: its text and each value of each
// field. Its text is the input as received (raw), but for JSON (it begins with
// a brace) the message, if there is one, since the values are fields.
//
// A range compares numbers when each bound is one: only values of the form
// -12.5 can match. It compares addresses when each bound is one, and text
// otherwise. Networks match values that are addresses in plain notation; a value
// that is the same network in text matches too.
package query
