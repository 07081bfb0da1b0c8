# Two commands set everything up on a fresh machine with Go and Node.js: `make run` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO            ?= go
GOLANGCI      := v2.15.0
GOVULNCHECK   := v1.1.4
BENCHSTAT     := v0.0.0-20260908200009-22c9c6c9d4da
BIN           := $(CURDIR)/.cache/bin
LINT          := $(BIN)/golangci-lint-$(GOLANGCI)
CLIENTS       := cmd/testdata/clients
TESTFLAGS     ?=
FUZZTIME      ?= 60s

# Packages whose AllocsPerRun tests mean nothing under the race detector.
NORACE = $(shell grep -rlE 'AllocsPerRun|//go:build !race' --include=*_test.go . | grep -v node_modules | xargs -r -n1 dirname | sort -u)

.PHONY: help run build test race alloc cross lint fmt bench bench-peers bench-growth bench-compare fuzz crash powerloss soak hostile vuln tidy clients chromium clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: ## build and run the broker with configs/dev.yaml; ARGS="--set key=value" adds arguments
	@echo "==> building wye (the first time takes a minute)"
	@$(GO) build -o bin/wye ./cmd/wye
	@exec bin/wye --config configs/dev.yaml $(ARGS)

build: ## build bin/wye
	$(GO) build -trimpath -o bin/wye ./cmd/wye

test: tidy lint clients chromium race alloc ## everything CI runs: lint, all tests under the race detector, allocation tests
	@echo "==> all tests have passed"

race: clients chromium ## all tests once, under the race detector, in random order
	@echo "==> go test -race ./... (some minutes)"
	@export CHROME_BIN="$$(bash .ci/chromium)" PROXIES_DIR="$$(bash .ci/proxies)"; GO="$(GO)" bash .ci/race -shuffle=on -timeout 15m $(TESTFLAGS)

alloc: ## the packages whose tests count allocations, without the race detector
	@echo "==> go test without the race detector, where allocations are counted"
	@pkgs="$(NORACE)"; if [ -n "$$pkgs" ]; then $(GO) test -count=1 -timeout 5m $$pkgs; fi

lint: $(LINT) ## golangci-lint, at the pinned version
	@echo "==> golangci-lint"
	@GOLANGCI_LINT_CACHE=$(CURDIR)/.cache/golangci $(LINT) run --allow-parallel-runners ./...

fmt: $(LINT) ## format as lint wants it
	@GOLANGCI_LINT_CACHE=$(CURDIR)/.cache/golangci $(LINT) fmt ./...

$(LINT):
	@echo "==> installing golangci-lint $(GOLANGCI) into .cache/bin (some minutes, once)"
	@mkdir -p $(BIN)
	@GOBIN=$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv $(BIN)/golangci-lint $@

# Warm it takes half a minute, cold some; the tests are vetted for macOS.
cross: ## build for macOS, Windows and 64-bit ARM, without cgo
	@echo "==> go build for other systems"
	@for t in linux/arm64 darwin/arm64 windows/amd64; do echo "    $$t"; CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build ./...; done
	@CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) vet ./...

tidy:
	@$(GO) mod tidy -diff

clients: $(CLIENTS)/node_modules/.package-lock.json

$(CLIENTS)/node_modules/.package-lock.json: $(CLIENTS)/package-lock.json
	@command -v npm >/dev/null || { echo "npm is not on PATH: install Node.js 20 or later (Debian: apt-get install nodejs npm)" >&2; exit 1; }
	@echo "==> npm ci in $(CLIENTS)"
	@npm ci --prefix $(CLIENTS) --no-audit --no-fund --loglevel=error
	@touch $@

chromium:
	@bash .ci/chromium >/dev/null

bench: ## all benchmarks; PKG=./core/... BENCH=Publish COUNT=10 choose
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -count $(or $(COUNT),1) $(or $(PKG),./...)

bench-peers: ## wye and other brokers in turns; ROWS='fan-1 queue' PEERS='wye nats' ROUNDS=3 SECONDS=2 choose, ARGS=--list lists
	@$(GO) run ./cmd/internal/versus/command --rows "$(ROWS)" --peers "$(PEERS)" --rounds $(or $(ROUNDS),3) --seconds $(or $(SECONDS),2) $(ARGS)

bench-growth: ## how cost grows with what is around it, into .github/bench/growth; CURVES='body queues' prints some of it
	@$(GO) run ./cmd/internal/growth/command -only "$(CURVES)"

bench-compare: ## the benchmarks of BASE (a revision) and of here, in turns; PKG=./core BENCH=Publish COUNT=10 choose
	@GO="$(GO)" BIN="$(BIN)" BENCHSTAT=$(BENCHSTAT) bash .ci/bench-compare "$(BASE)" "$(or $(PKG),./core)" "$(or $(BENCH),.)" "$(or $(COUNT),10)"

powerloss: ## cut the power of the disk engine 500 times, on a file system that forgets; CUTS=... times
	$(GO) test ./plugins/disk -run 'PowerLoss' -count=1 -v -timeout 1h -cuts $(or $(CUTS),500)

fuzz: ## every fuzz target for FUZZTIME (60s)
	@grep -rlE '^func Fuzz' --include=*_test.go . | grep -v node_modules | sort | while read -r file; do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
			echo "==> $$target in $$(dirname "$$file") for $(FUZZTIME)"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "$$(dirname "$$file")" </dev/null; \
		done; \
	done

crash: ## kill -9 the broker under its clients, CYCLES (100) times; SEED=n does what a run did before, KEEP=dir keeps all
	@$(GO) test -run '^TestCrash$$' -count=1 -timeout 2h -v ./cmd/internal/crash -args \
		-cycles $(or $(CYCLES),100) -seed $(or $(SEED),0) -keep "$(abspath $(KEEP))"

hostile: ## 9,000 clients, and 1,000 that misbehave; CONNECTIONS, FOES, TIME (60s), RATE, BUDGET (1 GiB), P99 (100ms) change that
	@$(GO) test -run '^TestHostile$$' -count=1 -timeout 1h -v ./cmd/internal/hostile -args \
		-connections $(or $(CONNECTIONS),10000) -foes $(or $(FOES),1000) -time $(or $(TIME),60s) -rate $(or $(RATE),2000) \
		-budget $(or $(BUDGET),1073741824) -p99 $(or $(P99),100ms)

soak: ## clients come and go for MINUTES (30); then the broker must have what it had before
	@$(GO) test -run '^TestSoak$$' -count=1 -timeout 24h -v ./cmd -args -soak $(or $(MINUTES),30)m

vuln: ## known vulnerabilities in what is used; asks vuln.go.dev
	$(GO) run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK) ./...

clean: ## remove what was built and installed
	rm -rf bin .cache $(CLIENTS)/node_modules
