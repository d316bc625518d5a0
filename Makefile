# `make` alone lists what there is. Nothing here asks anything, and nothing writes outside this clone, ~/.cargo and ~/.rustup.

SHELL := /bin/sh
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
TOOLS := $(CURDIR)/target/tools
CARGO_DENY := 0.20.2
BUF := 1.75.0

# Compilers and tests keep their temporary files in the clone as well.
export TMPDIR := $(CURDIR)/target/tmp

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: preflight
preflight: ## check that the compilers are there
	@sh deploy/bin/preflight
	@mkdir -p $(TMPDIR)

.PHONY: build
build: preflight ## build all programs
	cargo build --workspace --bins

.PHONY: demo
demo: build ## run the whole system in one process, drive it, check the outcome; BREAK=drop-exit or BREAK=wrong-field must fail
	@$(TARGET)/debug/local demo $(if $(BREAK),--break $(BREAK))

.PHONY: up
up: build ## run the demo's stack and keep it up
	@$(TARGET)/debug/local up

.PHONY: test
test: preflight ## run all tests, on a real Kafka where one can be had; ARGS="-p shared-kafka" narrows
	@deploy/bin/test $(ARGS)

.PHONY: storm
storm: build ## kill, freeze and starve real replicas under load, then check; ARGS="--changes 100000 --seed 1"; BREAK=reorder must fail
	@$(TARGET)/debug/storm $(if $(BREAK),--break $(BREAK)) $(ARGS)

# The measured process has the first core for itself, everything else shares the second.
.PHONY: bench-export
bench-export: preflight ## measure export-svc over its floor; prints MISS, and exits 0, where a bound is not kept; ARGS=--quick
	cargo build --release -p export-svc -p shared-e2e --bin export-svc --bin bench_export --bin floor
	@taskset -c 1 $(TARGET)/release/bench_export $(ARGS)

.PHONY: bench-ingest
bench-ingest: preflight ## measure ingest-svc over its floor, in the same way
	cargo build --release -p ingest-svc -p shared-e2e --bin ingest-svc --bin bench_ingest --bin floor_ingest
	@taskset -c 1 $(TARGET)/release/bench_ingest $(ARGS)

.PHONY: bench-imports
bench-imports: preflight ## measure the import jobs of ingest-svc over their floor, in the same way
	cargo build --release -p ingest-svc -p shared-e2e --bin ingest-svc --bin bench_imports --bin floor_ingest
	@taskset -c 1 $(TARGET)/release/bench_imports $(ARGS)

.PHONY: instructions
instructions: preflight ## count the instructions of one update and of one webhook (valgrind); ARGS=--gate fails if they have grown by more than 2 %
	@deploy/bin/instructions $(ARGS)

.PHONY: fuzz
fuzz: preflight ## fuzz what ingest-svc reads from outside, on the pinned toolchain; ARGS="600 rows" for ten minutes of one target
	@deploy/bin/fuzz $(ARGS)

.PHONY: fmt
fmt: ## format the code
	cargo fmt --all

.PHONY: fmt-check
fmt-check: ## fail if the code is not formatted
	cargo fmt --all --check

.PHONY: lint
lint: preflight ## clippy, without a warning
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: doc
doc: preflight ## build the documentation, without a warning
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

.PHONY: deny
deny: $(TOOLS)/cargo-deny-$(CARGO_DENY)/bin/cargo-deny ## check licenses, bans and sources of what we depend on
	$< --workspace check licenses bans sources

.PHONY: buf
buf: $(TOOLS)/buf-$(BUF)/node_modules/.bin/buf ## lint the contracts
	$< lint proto

.PHONY: ci
ci: ## all that CI runs
	.ci/run

# A debug build of the tool: it checks for a second and would be optimised for minutes.
$(TOOLS)/cargo-deny-$(CARGO_DENY)/bin/cargo-deny: | preflight
	cargo install --quiet --locked --debug --root $(TOOLS)/cargo-deny-$(CARGO_DENY) --target-dir $(TMPDIR)/cargo-deny cargo-deny@$(CARGO_DENY)
	rm -rf $(TMPDIR)/cargo-deny

$(TOOLS)/buf-$(BUF)/node_modules/.bin/buf:
	npm install --silent --no-audit --no-fund --cache $(TOOLS)/npm --prefix $(TOOLS)/buf-$(BUF) @bufbuild/buf@$(BUF)
