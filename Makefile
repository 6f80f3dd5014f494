# Everything that is done to this repository. `make test` needs Go, make and a
# shell; what else a target needs is fetched as Go modules (tools/go.mod).

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
PORTS   := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

TOOL     = $(GO) tool -modfile="$(CURDIR)/tools/go.mod"
BUF      = cd plugin/proto && PATH="$(CURDIR)/bin/tools:$$PATH" $(TOOL) buf
LDFLAGS  = -s -w -X main.version=$(VERSION)

export CGO_ENABLED := 0

.PHONY: all build test kill stores parquet race trainer endurance bench microbench lint fmt check-fmt buf-lint generate check-generated generators cross tidy check-tidy clean servers minio azurite rclone

all: build test

build: ## the static binary bin/trackio
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/trackio ./cmd/trackio

test: servers ## all tests; TESTFLAGS=-v names each
	$(GO) test -timeout 20m $(TESTFLAGS) ./...

kill: ## changes killed at every system call that writes; needs strace
	cd tests/kill && $(GO) test -tags kill -timeout 20m $(TESTFLAGS)
	$(GO) test -tags kill -timeout 20m $(TESTFLAGS) -run '^TestKilled' $(if $(wildcard /dev/shm),-exec 'env TMPDIR=/dev/shm') ./backends/sqlite

stores: servers minio azurite ## the object layer and the conformance suite on further object stores; needs npm
	$(GO) test -tags otherstores -timeout 20m $(TESTFLAGS) -run '^(TestObjects|TestCreateRace|TestCreateFaults|TestList|TestUpload)$$' ./backends/internal/bucket
	$(GO) test -tags otherstores -timeout 20m $(TESTFLAGS) -run '^TestConformance$$' ./backends/s3

parquet: ## rows read by Parquet readers that share no code with their writer; needs npm
	cd tests/parquet && $(GO) test -count=1 $(TESTFLAGS) ./...
	rm -rf bin/samples && $(GO) run ./backends/s3/internal/rows/sample bin/samples
	cd tests/duckdb && npm install --no-save --no-package-lock --no-audit --no-fund --loglevel=error && node check.mjs "$(CURDIR)/bin/samples"

race: ## what runs concurrently, under the race detector, which needs a C compiler; it slows SQLite down tenfold
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(TESTFLAGS) ./trackio/... ./plugin/... ./cmd/...
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(TESTFLAGS) ./backends/sqlite -run 'TestConformance/(concurrency|iterators|close|context)|TestRecover|TestLossMoves|TestReadingBeside'
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(TESTFLAGS) ./backends/s3/internal/ledger
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(TESTFLAGS) ./backends/s3 -run 'TestConformance/memory/(concurrency|iterators|close|context|bulk|media)'

trainer: ## beside processes that train as Python's do; TRACKIO_TRAINER_SECONDS=60
	$(GO) test -tags trainer -v -count=1 -timeout 15m ./tests/trainer

endurance: ## ten thousand operations in one process, after which nothing is left
	$(GO) test -tags endurance -v -count=1 -timeout 15m ./tests/endurance

bench: servers rclone ## the figures of the release, which fail above their limits; needs sqlite3
	$(GO) run ./tests/bench

microbench: ## the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

lint: ## golangci-lint, which also holds the rules of the architecture
	$(TOOL) golangci-lint run ./...

fmt: ## format the Go code
	$(TOOL) golangci-lint fmt ./...

check-fmt: ## fail if gofmt would change a file
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

buf-lint: ## lint the protocol
	$(BUF) lint

generate: generators ## Go code from the protocol
	$(BUF) generate

check-generated: generators ## fail if the generated code is not that of the protocol
	rm -rf bin/generated && mkdir -p bin/generated/proto && $(BUF) generate -o "$(CURDIR)/bin/generated/proto" && diff -r "$(CURDIR)/bin/generated/internal/backendv1" ../internal/backendv1

# The object stores of the tests, at fixed versions; a new version builds anew.
SERVERS   := $(CURDIR)/bin/servers
VERSITYGW := v1.8.0
FAKEGCS   := v1.56.1
MINIO     := v0.0.0-20260212201848-7aac2a2c5b7c
AZURITE   := 3.37.0
RCLONE    := v1.76.0

servers: $(SERVERS)/.versitygw-$(VERSITYGW) $(SERVERS)/.fakegcs-$(FAKEGCS) ## S3 and Google's storage for the tests
minio: $(SERVERS)/.minio-$(MINIO) ## a second S3, for the build tag otherstores
azurite: $(SERVERS)/.azurite-$(AZURITE) ## Azure's storage, for the build tag otherstores; needs npm
rclone: $(SERVERS)/.rclone-$(RCLONE) ## the peer of the benchmarks on object stores

$(SERVERS)/.versitygw-$(VERSITYGW):
	GOBIN="$(SERVERS)" $(GO) install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW)
	@touch $@

$(SERVERS)/.fakegcs-$(FAKEGCS):
	GOBIN="$(SERVERS)" $(GO) install github.com/fsouza/fake-gcs-server@$(FAKEGCS)
	@touch $@

$(SERVERS)/.minio-$(MINIO):
	GOBIN="$(SERVERS)" $(GO) install github.com/minio/minio@$(MINIO)
	@touch $@

$(SERVERS)/.azurite-$(AZURITE):
	npm install --prefix "$(SERVERS)" --no-save --no-audit --no-fund --loglevel=error azurite@$(AZURITE)
	@touch $@

$(SERVERS)/.rclone-$(RCLONE):
	GOBIN="$(SERVERS)" $(GO) install github.com/rclone/rclone@$(RCLONE)
	@touch $@

generators:
	$(GO) build -modfile=tools/go.mod -o bin/tools/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc

cross: ## build and vet for every system that is released
	@set -e; for port in $(PORTS); do echo "$$port"; GOOS=$${port%/*} GOARCH=$${port#*/} $(GO) build ./...; GOOS=$${port%/*} GOARCH=$${port#*/} $(GO) vet ./...; done

tidy: ## go.mod and go.sum of all modules
	$(GO) mod tidy && cd tools && $(GO) mod tidy && cd ../tests/parquet && $(GO) mod tidy

check-tidy: ## fail if tidy would change something
	$(GO) mod tidy -diff && cd tools && $(GO) mod tidy -diff && cd ../tests/parquet && $(GO) mod tidy -diff

clean:
	rm -rf bin dist
