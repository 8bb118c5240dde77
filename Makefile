# Everything a developer needs; `.ci/run` is what CI runs.
SHELL := /bin/bash
GO    ?= go
LINT  := bin/golangci-lint
DATA  ?= ./kyra-data

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: build
build: ## build bin/kyra
	$(GO) build -o bin/kyra ./cmd/kyra

.PHONY: run
run: build ## build and start a server with everything embedded, data in $(DATA)
	bin/kyra serve --data $(DATA)

.PHONY: demo
demo: build ## replay a recorded attack into a throw-away server and tell what it found
	bin/kyra demo

.PHONY: test
test: ## run all tests (PostgreSQL ones where its server is installed)
	$(GO) test ./...

.PHONY: check
check: format vet cross lint race smoke ## all that CI checks

.PHONY: format
format:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted: $$out"; exit 1; }

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: cross
cross: ## build and vet the collector for the other systems that it runs on
	for system in windows/amd64 linux/arm64; do \
		export GOOS=$${system%/*} GOARCH=$${system#*/} CGO_ENABLED=0; \
		$(GO) vet ./cmd/kyra-collector ./internal/collector/... && $(GO) build -o /dev/null ./cmd/kyra-collector || exit 1; \
	done

.PHONY: lint
lint: $(LINT) ## run the linters of .golangci.yml
	$(LINT) run

$(LINT): tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# SQLite translated from C is some thirty times slower under the detector, and its
# memory is its own; reading a regular expression without regard to case walks all of
# Unicode. They alone are built without.
FOREIGN := '-gcflags=regexp/syntax=-race=false' '-gcflags=unicode=-race=false' '-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0' '-gcflags=modernc.org/libc=-race=false -d=checkptr=0'

.PHONY: race
race: ## run all tests under the race detector (many wait more than they compute: three packages at a time)
	$(GO) test -race -p 3 $(FOREIGN) ./...

.PHONY: smoke
smoke: build ## start the built binary as a new user would, on real input
	scripts/smoke bin/kyra

.PHONY: plain
plain: ## run the tests of packages that leave some out under the race detector
	scripts/plain

.PHONY: clients
clients: ## install real senders and let them send to a real server
	scripts/clients
	KYRA_TEST_CLIENTS=require $(GO) test -count=1 -v ./internal/app/clients

.PHONY: fuzz
fuzz: ## run every fuzz target for 30 s
	scripts/fuzz

.PHONY: crash
crash: ## kill a loaded server ten times and count what is left (about six minutes)
	KYRA_TEST_CRASH=long $(GO) test -count=1 -v -run TestCrash -timeout 20m ./internal/app

.PHONY: bench
bench: ## measure; results go into docs/performance.md by hand, with machine and date
	scripts/bench

.PHONY: reference
reference: ## send every call of the public reference to a fresh demo and run its commands as printed
	$(GO) test -count=1 -v -run "TestReference" ./cmd/kyra ./internal/app

.PHONY: generate
generate: ## write golden files and the OpenAPI document again
	$(GO) test ./internal/api -update

.PHONY: console
console: ## build the web console into internal/console/dist (needs Node)
	scripts/console

.PHONY: browser
browser: build ## use the console in a real browser against a real server (needs Node and Chromium)
	cd console && { [ -d node_modules ] || npm ci --no-audit --no-fund; } && node --test --test-concurrency=2 test/*.spec.mjs

.PHONY: console-bench
console-bench: build ## measure the console: first view, page changes among 5 million alerts, following (needs Node and Chromium)
	cd console && node bench/bars.mjs

.PHONY: screenshots
screenshots: build ## take pictures of every page of the console; FOLDER says where
	cd console && node test/screenshots.mjs $(FOLDER)
