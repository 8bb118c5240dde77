// Package clients holds tests that let the log senders that people really run,
// unchanged and with the settings of docs/sending.md, send to a real server.
// There is nothing in it but tests.
//
// Programs come from Debian and npm: scripts/clients installs them. What is not
// installed is skipped with a reason, unless KYRA_TEST_CLIENTS is "require".
package clients
