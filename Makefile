# The commands of every day. `make` alone lists them.

CARGO   := cargo
SOAK    := $(CARGO) test --release --workspace --locked
CLASSES ?= planning properties simulation integration e2e tidy
export CARGO_TERM_COLOR ?= always

.PHONY: help demo test soak e2e-nine setup check fix gen bench dist

help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 16

demo: ## Watch the whole loop work on this machine; ARGS="--exit" ends after the story
	$(CARGO) build --profile demo --locked -p qonnect -p qonnect-agent
	target/demo/qonnect demo $(ARGS)

test: setup ## Everything that must hold; CLASSES="planning tidy" leaves classes out by name
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked --no-fail-fast --lib --bins $(addprefix --test ,$(CLASSES))

soak: ## The same with far larger numbers, on programs as they are shipped: hours
	$(CARGO) build --release --workspace --bins --locked
	QONNECT_CRASH_CASES=200000 $(SOAK) --lib -- crash
	QONNECT_FENCING=all $(SOAK) --test properties -- fencing
	QONNECT_BAD_CASES=4000 $(SOAK) --test planning -- no_mutation --nocapture
	QONNECT_SIMULATION_SEEDS=10000 $(SOAK) --test simulation -- --skip seasons
	QONNECT_SIMULATION_FLEETS=4 QONNECT_SIMULATION_REGIONS=20 QONNECT_SIMULATION_CLUSTERS=10 \
		QONNECT_SIMULATION_DAYS=13 $(SOAK) --test simulation -- seasons
	QONNECT_KILLS=500 QONNECT_HANGS=200 QONNECT_PARTITION_ROUNDS=20 QONNECT_FAULT_RUNS=500 \
		$(SOAK) --test integration -- leaders partitions faults
	$(SOAK) --test soak

e2e-nine: ## The example on nine real control planes, each of which dies and returns: a part of soak
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked --test soak -- nine

setup: ## Install what tests need: Debian packages, a Kubernetes control plane, checkers of workflows, what GitHub says of itself
	tests/control-plane/install.sh
	tests/tidy/install.sh
	tests/github/install.sh

check: ## While you write
	$(CARGO) clippy --workspace --all-targets
	$(CARGO) test -p qonnect-schema -p qonnect-core -p qonnect-agent-core -p qonnect-tests --lib --test planning

fix: ## Let the tools rewrite
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged

gen: ## Write the JSON Schemas from the types
	$(CARGO) run -q -p qonnect --bin qonnect -- schema --write schema/json

bench: ## Measure; ONLY=pattern for some. Figures: target/bench/figures.jsonl
	$(CARGO) build --release --locked --workspace --bins
	ONLY='$(ONLY)' $(CARGO) bench --locked --workspace --bench figures

dist: ## The programs that are shipped
	$(CARGO) build --profile dist --locked -p qonnect -p qonnect-agent
