# The plugins: one folder each below plugins/, one executable modhost-<name>.
PLUGINS := $(patsubst plugins/%/main.go,%,$(wildcard plugins/*/main.go))

# For builds outside of version control: make build VERSION=v1.2.3
VERSION ?=
LDFLAGS := $(if $(VERSION),-ldflags "-X main.stamped=$(VERSION)")

# Pinned here and not in go.mod: no user of the packages needs it.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0

# How long make fuzz tries each target.
FUZZTIME ?= 30s

# How long make soak goes on, and with which seed; a random one if empty.
DURATION ?= 1h
SEED ?=
# The round to begin with, to repeat one.
ROUND ?=

.PHONY: build run test lint bench fuzz faults planted soak proto pictures clean test-tools

build:
	go build $(LDFLAGS) -o bin/modhost ./host/cmd/modhost
	$(foreach p,$(PLUGINS),go build -o bin/modhost-$(p) ./plugins/$(p) &&) true

run: build
	bin/modhost serve --config configs/modhost.hcl

# Tests that run beside others mostly wait for processes, so that more of them
# than there are processors are done sooner.
test: test-tools
	go test -race -shuffle=on -parallel 4 -timeout 20m ./...

lint:
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not formatted, run gofmt -w on:"; echo "$$files"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

# Figures, as tables in bin/bench: what many modules take, and what the way
# between host and plugin does.
bench:
	@mkdir -p bin/bench
	MODHOST_BENCH=$(CURDIR)/bin/bench go test -count=1 -timeout 10m -run '^$$' -bench BenchmarkModules -benchtime 1x ./integration/life
	go test -count=1 -run '^$$' -bench . ./sdk/wire > bin/bench/wire.txt || { cat bin/bench/wire.txt; exit 1; }
	@for table in bin/bench/*.txt; do echo; echo "$$table:"; cat "$$table"; done

fuzz:
	go test -run '^$$' -fuzz FuzzLoad -fuzztime $(FUZZTIME) ./host/config
	go test -run '^$$' -fuzz FuzzLock -fuzztime $(FUZZTIME) ./plugins/lock
	go test -run '^$$' -fuzz FuzzLeader -fuzztime $(FUZZTIME) ./plugins/leader
	go test -run '^$$' -fuzz FuzzHandler -fuzztime $(FUZZTIME) ./host/metrics

# The tests of what holds while things break, with as many rounds and clients as
# their documentation says, which takes half an hour, and of the life of modules
# under load, which takes some minutes more; the scripts with the race detector.
faults: test-tools
	MODHOST_TEST_LONG=1 go test -count=1 -timeout 90m -v -run 'TestDefects|TestMode|TestCrash|TestPause|TestOutage|TestElection' ./integration/faults
	MODHOST_TEST_LONG=1 go test -count=1 -timeout 30m -v -run TestLife ./integration/life
	MODHOST_TEST_LONG=1 go test -race -count=1 -timeout 30m -run TestScripts ./integration

# Breaks the programs in one way after the other and sees the tests fail.
planted: test-tools
	MODHOST_TEST_PLANTED=1 go test -count=1 -timeout 120m -v -run 'TestPlanted|TestSoak_FindsBrokenRules' ./integration/faults

# Clients and storms of faults, judged by the checker.
soak: test-tools
	MODHOST_SOAK_DURATION=$(DURATION) MODHOST_SOAK_SEED=$(SEED) MODHOST_SOAK_ROUND=$(ROUND) go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./integration/faults

# What the tests need beside Go: curl drives the documented calls, the race
# detector needs cgo and with it a C compiler, the dashboard is looked at in
# Chromium. Debian as root gets what is missing; elsewhere the names are printed.
test-tools:
	@missing=""; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	echo '#include <stdlib.h>' | $$(go env CC) -E - >/dev/null 2>&1 || missing="$$missing gcc libc6-dev"; \
	for b in chromium chromium-browser google-chrome google-chrome-stable; do command -v $$b >/dev/null && browser=$$b; done; \
	[ -n "$$browser" ] || missing="$$missing chromium fonts-dejavu-core"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	else \
		echo "the tests need what is missing here (Debian's names):$$missing; install it and run make test again"; exit 1; \
	fi

# The pictures of the READMEs, from a real dashboard in a real browser.
pictures: test-tools
	MODHOST_PICTURES_README=$(CURDIR)/plugins/dashboard/pictures go test -count=1 -run '^TestPictures_OfTheREADME$$' ./integration/browser

proto:
	protoc -I sdk/wire/wirepb --go_out=. --go_opt=module=github.com/etcd-modules/modhost --go-grpc_out=. --go-grpc_opt=module=github.com/etcd-modules/modhost sdk/wire/wirepb/wire.proto

clean:
	rm -rf bin
