# `make run` builds and starts Carillon with its demo; `make test` is everything that CI runs.
# Nothing has to be prepared by hand: scripts/install gets what is missing and says so.
SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test test-live test-browser check fmt prove bench fuzz size clean-cache

export CARILLON_CACHE ?= $(HOME)/.cache/carillon
# One target directory for all checkouts: dependencies are built once. scripts/claim-target keeps it honest.
export CARGO_TARGET_DIR ?= $(CARILLON_CACHE)/target
export CARILLON_BIN := $(abspath $(CARGO_TARGET_DIR))/release/carillon

step := @scripts/step
web_sources := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' -not -path 'web/tests/*' 2>/dev/null)

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: ## build everything and start Carillon with its demo workspace
	@scripts/install build web video
	@$(MAKE) --no-print-directory web/dist/index.html
	@scripts/claim-target
	@echo '==> build carillon'
	@cargo build --release --locked -p carillon
	@echo '==> carillon serve --demo'
	@exec "$$CARILLON_BIN" serve --demo

# Where everything is new, what would speed up the next build only slows this one down.
test: export CARGO_INCREMENTAL := 0
# One build for everything: Cargo.toml says how it differs from the one that is shipped.
test: export CARILLON_BIN := $(abspath $(CARGO_TARGET_DIR))/ci/carillon
test: ## install what is missing, then every check and every test, on real servers and in a browser
	@scripts/step begin
	$(step) 'install what the build needs' scripts/install build web
	$(step) 'claim the target directory' scripts/claim-target
	$(step) 'rust: format' cargo fmt --all --check
	$(step) 'rust: clippy, while what the tests need is installed' scripts/alongside scripts/install postgres browser video wordpress pds servers judges tus -- cargo clippy --workspace --all-targets --locked -- -D warnings
	$(step) 'web: types and lints' scripts/web check
	$(step) 'web: unit tests' scripts/web test
	$(step) 'web: build' scripts/web build
	$(step) 'rust: build' cargo test --profile ci --workspace --locked --no-run
	$(step) 'rust: tests on SQLite and PostgreSQL, and kill -9 of the binary; unit tests and proofs beside them' scripts/alongside cargo test --profile ci --workspace --locked --test it -- cargo test --profile ci --workspace --locked --lib --bins -- --skip proxy:: --skip soak::
	$(step) 'rust: proofs with limits in seconds, beside nothing else' cargo test --profile ci --workspace --locked --lib --bins -- proxy:: soak::
	$(step) 'rust: tests on real servers, and by the networks own client libraries' scripts/with-live cargo test --profile ci --workspace --locked --test it -- --ignored
	$(step) 'web: browser tests against the binary' scripts/web test:e2e
	@scripts/step end

test-live: ## real servers and the networks' own client libraries alone, a part of `make test`
	@scripts/install build wordpress pds servers judges tus
	@scripts/claim-target
	@echo '==> tests on real servers, and by the networks own client libraries'
	@scripts/with-live cargo test --workspace --locked --test it -- --ignored --nocapture

test-browser: ## the browser tests on the binary that is shipped
	@scripts/install build web browser video
	@$(MAKE) --no-print-directory web/dist/index.html
	@scripts/claim-target
	@echo '==> release build'
	@cargo build --release --locked -p carillon
	@echo '==> browser tests'
	@scripts/web test:e2e

check: ## format, clippy and unit tests: the quick round
	@scripts/claim-target
	@echo '==> format'
	@cargo fmt --all --check
	@echo '==> clippy'
	@cargo clippy --workspace --all-targets -- -D warnings
	@echo '==> unit tests'
	@cargo test --workspace --lib

fmt: ## format the Rust code
	@echo '==> format'
	@cargo fmt --all

prove: ## the whole ladder of proofs, and its counts into docs/reliability.md; ARGS names rungs and options
	@scripts/install build postgres
	@scripts/claim-target
	@echo '==> release build'
	@cargo build --release --locked -p carillon
	@echo '==> carillon-prove'
	@cargo run --release --locked --quiet -p carillon-prove -- --full --write docs/reliability.md $(ARGS)

bench: ## Carillon beside other queues and programs for pictures, an hour or two; ARGS=--quick takes minutes; see bench/README.md
	@echo '==> bench/run'
	@bench/run $(ARGS)

fuzz: ## mutate the odd files of tests/it/odd, TIMES as often as the tests do (1,000); SEED is where it begins
	@scripts/install build postgres video
	@scripts/claim-target
	@CARILLON_FUZZ=$(or $(TIMES),1000) CARILLON_FUZZ_SEED=$(or $(SEED),1) cargo test --release --locked -p carillon --test it odd::mutated -- --nocapture

size: ## start-up time, idle memory and bytes of the release build
	@scripts/claim-target
	@echo '==> release build'
	@cargo build --release --locked -p carillon
	@echo '==> measure'
	@scripts/size "$$CARILLON_BIN"

clean-cache: ## remove everything built or installed in the cache directory
	@echo "==> remove what $$CARILLON_CACHE and $$CARGO_TARGET_DIR hold"
	@rm -rf "$$CARILLON_CACHE"/{web,pds,servers,judges,judge,tus,wordpress,bench} "$$CARGO_TARGET_DIR"

web/dist/index.html: $(web_sources)
	@echo '==> build the web app'
	@scripts/web build
