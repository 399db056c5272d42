# SPDX-License-Identifier: GPL-2.0-or-later
# `make help` lists the targets. V=1 shows the commands.

BUILD  ?= build
CC     ?= gcc
CXX    ?= g++
CLANG  ?= clang
PYTHON ?=

ARCH     := $(shell uname -m)
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(ARCH)))
PACKAGES := libbpf libelf capstone jansson libxxhash libcap-ng libzstd zlib simdjson libmicrohttpd libsystemd

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CFLAGS   ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -Iinclude -Iuser -I$(BUILD)
HARDEN   := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
LDLIBS   += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lstdc++
BPFFLAGS := -g -O2 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Werror -Iinclude -Ibpf

SOURCES  := $(sort $(wildcard user/*/*.c))
SOURCES_CXX := $(sort $(wildcard user/*/*.cc))
OBJECTS  := $(SOURCES:%.c=$(BUILD)/%.o) $(SOURCES_CXX:%.cc=$(BUILD)/%.o)
BPF_SRC  := $(sort $(wildcard bpf/*.bpf.c))
SKELS    := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/skel/%.skel.h)
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
C_FILES   = $(shell find bpf include tests user '(' -name '*.[ch]' -o -name '*.cc' ')' ! -name vmlinux.h)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help demo unit prepare check check-unit check-sanitize check-pages check-fleet check-otel check-e2e check-log-peers check-fleet-sql fleet-demo bench-fleet check-torch check-kernels kernels arm64 check-arm64 coverage bench bench-log bench-log-write fuzz fmt lint \
	compile_commands install clean deps

all: $(BUILD)/gradwatch ## build gradwatch

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z_-]*:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- gradwatch ---------------------------------------------------------------------------------

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c | $(BUILD)/deps
	$(say) BPF $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -MMD -MP -c $< -o $@
	$(Q)llvm-strip -g $@ 2>/dev/null || true

$(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(say) SKEL $@
	$(Q)mkdir -p $(@D)
	$(Q)PATH=$$PATH:/usr/sbin:/sbin bpftool gen skeleton $< name $*_bpf > $@

# What the tests have seen on which PyTorch, for doctor.
$(BUILD)/coverage.inc: user/cli/coverage.tsv
	$(say) GEN $@
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's/[\\"]/\\&/g' -e 's/\t/\\t/g' -e 's/.*/"&",/' $< > $@

$(BUILD)/user/cli/coverage.o: $(BUILD)/coverage.inc

# The page that report --html writes.
$(BUILD)/page_text.h: tools/page.sh $(wildcard user/report/page/*)
	$(say) GEN $@
	$(Q)tools/page.sh user/report/page $@

$(BUILD)/user/report/page.o: $(BUILD)/page_text.h

$(BUILD)/%.o: %.c | $(SKELS) $(BUILD)/deps
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARN) $(HARDEN) $(CFLAGS) -MMD -MP -c $< -o $@

# The parser of JSON is C++ inside; no exceptions and no run-time types, so it needs no more of it.
$(BUILD)/%.o: %.cc | $(BUILD)/deps
	$(say) CXX $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) -std=gnu++17 -fno-exceptions -fno-rtti -Wall -Wextra -Werror $(HARDEN) $(CFLAGS) \
		-MMD -MP -c $< -o $@

$(BUILD)/libgradwatch.a: $(OBJECTS)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) qcs $@ $^

$(BUILD)/gradwatch: $(BUILD)/user/main.o $(BUILD)/libgradwatch.a
	$(say) LINK $@
	$(Q)$(CC) -pie -Wl,-z,relro,-z,now $(CFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# What the image does not ship; made again when the list changes.
$(BUILD)/deps: tools/deps.sh
	$(Q)mkdir -p $(@D)
	$(Q)tools/deps.sh build
	$(Q)touch $@

$(BUILD)/deps-test: tools/deps.sh | $(BUILD)/deps
	$(Q)mkdir -p $(@D)
	$(Q)tools/deps.sh build test
	$(Q)touch $@

deps: ## install the Debian packages that building and testing need
	$(Q)tools/deps.sh build test

# --- trying and testing --------------------------------------------------------------------------

demo: all ## watch a real export that toggles grad mode (PYTHON= a python with torch)
	$(Q)GRADWATCH=$(BUILD)/gradwatch tools/demo.sh $(PYTHON)

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libgradwatch.a | $(BUILD)/deps-test
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests/unit -std=gnu11 -Wall -Wextra -Wno-missing-field-initializers -Werror $(CFLAGS) \
		-MMD -MP $< $(BUILD)/libgradwatch.a -o $@ $(LDFLAGS) $(LDLIBS) -lcmocka

check: check-unit check-sanitize check-e2e ## all tests (root)

SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

unit: $(UNIT)

prepare: all unit ## build all that `make check` builds; may be given -j, which `make check` may not
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitize unit CFLAGS="$(SANITIZE)"

check-unit: $(UNIT) ## unit tests, no root needed
	$(Q)tests/unit/run.sh $(UNIT)

check-sanitize: ## unit tests under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitize check-unit \
		CFLAGS="$(SANITIZE)"

$(BUILD)/venv/.complete: tests/requirements.txt | $(BUILD)/deps-test
	$(say) VENV $(@D)
	$(Q)tools/venv.sh $(@D) $<
	$(Q)touch $@

# Other readers of logs, to compare with.
$(BUILD)/venv-peers/.complete: tests/peers/requirements.txt | $(BUILD)/deps-test
	$(say) VENV $(@D)
	$(Q)tools/venv.sh $(@D) $<
	$(Q)touch $@

# Questions to a fleet: DuckDB for the command, the other engines for its tests.
$(BUILD)/venv-questions/.complete: tools/fleet/requirements.txt
	$(say) VENV $(@D)
	$(Q)tools/deps.sh questions
	$(Q)tools/venv.sh $(@D) $<
	$(Q)touch $@

$(BUILD)/venv-questions-test/.complete: tests/questions/requirements.txt
	$(say) VENV $(@D)
	$(Q)tools/deps.sh questions spark
	$(Q)tools/venv.sh $(@D) $<
	$(Q)touch $@

check-e2e: all $(BUILD)/venv/.complete $(BUILD)/standin/.complete ## end-to-end tests on real torch (GRADWATCH_TARGETS=)
	$(Q)GRADWATCH_BINARY=$(abspath $(BUILD)/gradwatch) GRADWATCH_STANDIN=$(abspath $(BUILD)/standin) \
		$(BUILD)/venv/bin/python -m pytest -q tests/e2e $(PYTEST_ARGS)

check-torch: ## end-to-end tests on every torch build (large downloads)
	$(Q)$(MAKE) --no-print-directory check-e2e \
		GRADWATCH_TARGETS=$$(tests/targets/make.sh --list | paste -sd,)

export GRADWATCH_TARGETS

$(BUILD)/standin/.complete: $(wildcard tests/standin/*) | $(BUILD)/deps-test
	$(say) STANDIN $(@D)
	$(Q)tests/standin/build.sh $(@D)
	$(Q)touch $@

$(BUILD)/verify: tests/kernels/verify.c $(BUILD)/libgradwatch.a
	$(say) CC $@
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARN) $(CFLAGS) -MMD -MP $< $(BUILD)/libgradwatch.a -o $@ \
		$(LDFLAGS) $(LDLIBS)

check-kernels: all arm64 $(BUILD)/verify $(BUILD)/venv/.complete $(BUILD)/standin/.complete ## in VMs with other kernels
	$(Q)tests/arm64/cross.sh $(BUILD)/arm64 $(BUILD)/arm64/verify $(BUILD)/arm64/standin/.complete
	$(Q)tests/kernels/run.sh $(abspath $(BUILD)) $(abspath $(BUILD)/arm64) $(KERNELS_FLAGS)

kernels: ## check-kernels, and its table into README, the verifier's counts into a file
	$(Q)$(MAKE) --no-print-directory check-kernels KERNELS_FLAGS=--write

$(BUILD)/deps-arm64: tools/deps.sh
	$(Q)mkdir -p $(@D)
	$(Q)tools/deps.sh build test arm64
	$(Q)touch $@

arm64: $(BUILD)/deps-arm64 ## cross-build for aarch64, into build/arm64
	$(Q)tests/arm64/cross.sh $(BUILD)/arm64 all

# The programs whose tests are about the processor; the others are the same on all.
ARM64_UNIT := $(patsubst %,$(BUILD)/arm64/unit/test_%,inspect inspect_damage python base)

check-arm64: arm64 $(BUILD)/venv/.complete ## unit tests as aarch64 code under emulation; plans of real arm64 files
	$(Q)tests/arm64/cross.sh $(BUILD)/arm64 $(ARM64_UNIT)
	$(Q)EMULATOR=tests/arm64/emulate.sh tests/unit/run.sh $(ARM64_UNIT)
	$(Q)GRADWATCH_BINARY=$(abspath $(BUILD)/gradwatch) $(BUILD)/venv/bin/python -m pytest -q tests/arm64

$(BUILD)/venv-pages/.complete: tests/pages/requirements.txt
	$(say) VENV $(@D)
	$(Q)tools/deps.sh pages
	$(Q)tools/venv.sh $(@D) $<
	$(Q)touch $@

check-pages: all $(BUILD)/venv-pages/.complete ## pictures in Chromium, Perfetto, tlparse (130 MB of downloads; not in check)
	$(Q)GRADWATCH_BINARY=$(abspath $(BUILD)/gradwatch) $(BUILD)/venv-pages/bin/python -m pytest -q -s \
		-p no:cacheprovider tests/pages $(PYTEST_ARGS)

$(BUILD)/venv-fleet/.complete: tests/fleet/requirements.txt
	$(say) VENV $(@D)
	$(Q)tools/deps.sh test fleet
	$(Q)tools/venv.sh $(@D) $<
	$(Q)touch $@

check-fleet: all $(BUILD)/venv-fleet/.complete ## unit, rules, dashboard, log shipping, DaemonSet: on the real daemons (root)
	$(Q)GRADWATCH_BINARY=$(abspath $(BUILD)/gradwatch) $(BUILD)/venv-fleet/bin/python -m pytest -q \
		-p no:cacheprovider tests/fleet $(PYTEST_ARGS)

$(BUILD)/venv-otel/.complete: tests/otel/requirements.txt
	$(say) VENV $(@D)
	$(Q)tools/deps.sh test
	$(Q)tools/venv.sh $(@D) $<
	$(Q)touch $@

# Somebody's build of the collector: known by its hash, and run as nobody without a network.
$(BUILD)/otelcol/.complete: tests/otel/collector.txt $(BUILD)/venv-otel/.complete
	$(say) OTELCOL $(@D)
	$(Q)rm -rf $(@D) && mkdir -p $(@D)
	$(Q)$(BUILD)/venv-otel/bin/python -m pip download -qq --disable-pip-version-check --no-deps \
		--only-binary :all: --require-hashes -d $(@D) -r $<
	$(Q)python3 -m zipfile -e $(@D)/*.whl $(@D)
	$(Q)touch $@

check-otel: all $(BUILD)/otelcol/.complete ## the log through a real OpenTelemetry Collector (12 MB of download; not in check)
	$(Q)GRADWATCH_BINARY=$(abspath $(BUILD)/gradwatch) GRADWATCH_OTELCOL=$(abspath $(BUILD)/otelcol) \
		$(BUILD)/venv-otel/bin/python -m pytest -q -p no:cacheprovider tests/otel $(PYTEST_ARGS)

coverage: ## write what is seen on which torch build, for doctor and README (large downloads)
	$(Q)GRADWATCH_WRITE_COVERAGE=1 $(MAKE) --no-print-directory check-torch PYTEST_ARGS="-k what_is_seen"
	$(Q)tools/coverage.sh

bench: all ## side by side: unprobed, empty probe, gradwatch, bpftrace; then 100 files and 1,000 processes
	$(Q)$(MAKE) --no-print-directory -f tests/bench/Makefile BUILD=$(BUILD) run scale

check-log-peers: all $(BUILD)/venv-peers/.complete ## the same counts of a log in DuckDB and Python (needs its wheel)
	$(Q)$(MAKE) --no-print-directory -f tests/bench/Makefile BUILD=$(BUILD) $(BUILD)/bench/make_log
	$(Q)GRADWATCH_BUILD=$(abspath $(BUILD)) $(BUILD)/venv-peers/bin/python -m pytest -q tests/peers

fleet-demo: $(BUILD)/venv-questions/.complete ## logs of a made-up fleet of 50 nodes, and what they say
	$(Q)rm -rf $(BUILD)/fleet-demo
	$(Q)$(BUILD)/venv-questions/bin/python tests/questions/generate.py $(BUILD)/fleet-demo --nodes 50 --records 20000
	$(Q)$(BUILD)/venv-questions/bin/python tools/fleet/fleet.py --limit 10 --nodes $(BUILD)/fleet-demo/nodes.txt $(BUILD)/fleet-demo/log

check-fleet-sql: all $(BUILD)/venv-questions-test/.complete ## the same answers by DuckDB, ClickHouse, Spark (750 MB of downloads, once)
	$(Q)GRADWATCH_BUILD=$(abspath $(BUILD)) $(BUILD)/venv-questions-test/bin/python -m pytest -q \
		-p no:cacheprovider tests/questions $(PYTEST_ARGS)

bench-fleet: $(BUILD)/venv-questions/.complete ## questions to 10 million records of 1,000 nodes (10 GB of disk)
	$(Q)$(BUILD)/venv-questions/bin/python tests/questions/bench.py $(BUILD)/fleet-bench $(BENCH_ARGS)

bench-log: all ## a log of 1 GiB read by gradwatch, jq, Python and DuckDB, side by side
	-$(Q)$(MAKE) --no-print-directory $(BUILD)/venv-peers/.complete
	$(Q)$(MAKE) --no-print-directory -f tests/bench/Makefile BUILD=$(BUILD) log

bench-log-write: all $(BUILD)/standin/.complete ## what it costs to log 50,000 changes a second, by level
	$(Q)$(MAKE) --no-print-directory -f tests/bench/Makefile BUILD=$(BUILD) log-write

fuzz: ## fuzz the readers of ELF files, suppressions, records, inputs and logs, and reports, each for FUZZ_SECONDS (60)
	$(Q)tests/fuzz/run.sh $(BUILD)/fuzz $(or $(FUZZ_SECONDS),60)

# --- upkeep --------------------------------------------------------------------------------------

fmt: ## format the sources
	$(Q)clang-format -i $(C_FILES)
	$(Q)$(BUILD)/venv/bin/ruff format -q tests tools

lint: $(SKELS) $(BUILD)/coverage.inc $(BUILD)/page_text.h $(BUILD)/venv/.complete ## formatter, analyzers and linters; all must be quiet
	$(Q)BUILD=$(BUILD) tools/lint.sh $(C_FILES)

compile_commands: compile_commands.json ## for editors and analyzers
compile_commands.json: $(SOURCES) Makefile
	$(say) GEN $@
	$(Q)for f in $(SOURCES) user/main.c; do \
		printf '{"directory":"%s","file":"%s","command":"%s"},\n' "$(CURDIR)" "$$f" \
		"$(CC) $(CPPFLAGS) -std=gnu11 $(WARN) -c $$f"; \
	done | sed -e '1s/^/[/' -e '$$s/,$$/]/' > $@

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
install: all ## install to PREFIX (default /usr/local) with the systemd unit, DESTDIR honoured
	install -D -m 755 $(BUILD)/gradwatch $(DESTDIR)$(PREFIX)/sbin/gradwatch
	install -D -m 644 contrib/systemd/gradwatch.service $(DESTDIR)$(PREFIX)/lib/systemd/system/gradwatch.service
	sed -i 's#/usr/sbin/gradwatch#$(PREFIX)/sbin/gradwatch#' \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/gradwatch.service
	[ -e $(DESTDIR)$(SYSCONFDIR)/gradwatch/gradwatch.conf ] || install -D -m 644 \
		contrib/systemd/gradwatch.conf $(DESTDIR)$(SYSCONFDIR)/gradwatch/gradwatch.conf

clean: ## remove what was built
	rm -rf $(BUILD) compile_commands.json
