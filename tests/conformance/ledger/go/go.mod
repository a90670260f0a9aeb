module pfgov.example/ledger-conformance

go 1.23

require (
	github.com/transparency-dev/merkle v0.0.2
	golang.org/x/mod v0.21.0
)
