# Patchring. `make help` lists what there is.
SHELL   := /bin/bash
GO      ?= go
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
PKGS    := ./...
# One setting for builds, tests and checks: packages are compiled once for all.
export CGO_ENABLED := 0
P       := -p 2
# The linter and the generators are pinned in tools/go.mod, apart from the product.
TOOL    := $(GO) tool -modfile=tools/go.mod

.PHONY: help deps build demo test e2e bench check fmt gen clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install the Debian packages that tests and demo need (root)
	./scripts/deps

build: ## build the three binaries into bin/
	@mkdir -p $(BIN)
	$(GO) build $(P) -ldflags "$(LDFLAGS)" -o $(BIN)/ ./cmd/...

demo: deps build ## one real campaign on a fleet of real hosts (ONCE=1: to the end, then exit)
	$(BIN)/patchring-lab demo $(if $(ONCE),--once) $(DEMOFLAGS)

test: deps ## everything but the long e2e
	$(GO) test $(P) -timeout 30m $(TESTFLAGS) $(PKGS)

e2e: deps build ## real hosts with real apt, and a real browser (root)
	$(GO) test $(P) -tags e2e -count=1 -timeout 60m -run '$(or $(RUN),.)' $(TESTFLAGS) $(or $(E2EPKGS),./e2e/... ./lab/... ./internal/endpoint/... ./internal/face/console/...)

bench: deps build ## benchmarks, with ratios measured in one run
	./scripts/bench

check: ## format, vet, lint with the floors rule, generated files up to date
	@test -z "$$(gofmt -l $$(git ls-files '*.go' | grep -v _templ.go))" || { gofmt -l $$(git ls-files '*.go' | grep -v _templ.go); echo "run make fmt"; exit 1; }
	$(GO) vet $(P) $(PKGS)
	$(GO) vet $(P) -tags e2e ./e2e/... ./lab/... ./internal/...
	$(TOOL) golangci-lint run $(PKGS)
	./scripts/generated

fmt: ## format
	gofmt -w $$(git ls-files '*.go' | grep -v _templ.go)

gen: ## run the generators (sqlc, templ, openapi)
	cd internal/infra/store && $(GO) tool -modfile=../../../tools/go.mod sqlc generate
	$(GO) tool templ generate -path internal/face/console
	$(GO) test $(P) -run Contract -count=1 ./internal/face/api/ -update

clean: ## remove what was built
	rm -rf $(BIN) demo/out demo/run
