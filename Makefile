# `make help` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Nothing is installed from here: code is found where it stands.
export PYTHONPATH := functions/common:functions/order:functions/inventory:emulators/firestore:.
export ORDER_PORT INVENTORY_PORT EMULATOR_PORT

.DEFAULT_GOAL := help
.PHONY: help setup run test test-unit test-hostile test-crash test-clients fuzz conformance demo demo-local screenshots bench bench-emulator bench-servers audit lint lint-api format openapi sbom licences audit-deps lock setup-tests tag image deploy seed undeploy test-cluster clean

help: ## What this file can do
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(VENV)/.run ## Make .venv with what `make run` needs; nothing else changes
run: $(VENV)/.run ## Emulator, inventory and order on this machine, with a catalogue to try
	@exec $(BIN)/python -m local

test: $(VENV)/.dev ## Everything that needs no cluster
	$(BIN)/python -m pytest --ignore=tests/cluster $(TESTS)

test-unit: $(VENV)/.dev ## Only what needs no process and no socket: a minute or two
	$(BIN)/python -m pytest tests/unit

test-hostile: $(VENV)/.dev ## Both functions against hostile clients, held to the whole bar: five minutes
	HOSTILE_BAR=full $(BIN)/python -m pytest tests/hostile -s $(TESTS)

CRASH_SECONDS ?= 600
test-crash: $(VENV)/.dev ## Ten minutes of SIGKILL at random (CRASH_SECONDS, CRASH_SEED)
	CRASH_SECONDS=$(CRASH_SECONDS) $(BIN)/python -m pytest tests/crash/test_random_kills.py

FUZZ_SECONDS ?= 600
fuzz: export PYTHONPATH := $(PYTHONPATH):.fuzz
fuzz: $(VENV)/.dev .fuzz/.made ## Ten minutes of requests that nobody has thought of (FUZZ_SECONDS, FUZZ_SEED)
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/fuzz

test-clients: $(VENV)/.dev .api/.made ## Generate Python and TypeScript clients, and place orders with them; needs Node.js 20
	$(BIN)/python -m pytest tests/integration/test_generated_clients.py -rs

conformance: $(VENV)/.run .conformance/.made ## The client library's own system tests, on the embedded emulator
	$(BIN)/python tests/conformance/run.py $(TESTS)

demo: $(VENV)/.dev ## From zero through a sale and back, on the cluster, with a report (DEMO=--help)
	@$(BIN)/python -m demo $(DEMO)

demo-local: $(VENV)/.dev ## The same sale without a cluster, on processes of this machine
	@$(BIN)/python -m demo --local $(DEMO)

REPORT ?= $(lastword $(sort $(wildcard .run/demo/*/report.html)))
screenshots: $(VENV)/.dev ## Pictures of the last demo's report, for docs/
	$(BIN)/python -m tools.screenshots $(REPORT) docs

bench: $(VENV)/.dev ## The shop against the usual design and a floor, a quarter of an hour (PART="hot warm")
	$(BIN)/python -m benchmarks.shop $(PART)

bench-emulator: $(VENV)/.dev ## Our emulator against the official one: latency, contention, start, memory
	$(BIN)/python -m benchmarks.emulator

bench-servers: $(VENV)/.dev ## Our HTTP server against others under the same app, half an hour (SERVERS=--help)
	$(BIN)/python -m benchmarks.servers $(SERVERS)

# Of the system that `make run` runs, unless the environment names another database.
audit: export FIRESTORE_EMULATOR_HOST ?= localhost:$(or $(EMULATOR_PORT),8085)
audit: export GOOGLE_CLOUD_PROJECT ?= demo
audit: $(VENV)/.run ## Check every invariant of the database at one moment (GRACE=0: a minute after the last request, reconciled)
	@$(BIN)/python -m order_function.audit $(if $(GRACE),--grace $(GRACE))

lint: $(VENV)/.dev ## Style, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-api: .api/.made ## Lint docs/openapi with redocly and spectral; needs Node.js 20 or later
	cd .api && npx --no-install redocly lint --config ../tools/api/redocly.yaml ../docs/openapi/*.json
	cd .api && npx --no-install spectral lint --fail-severity=hint \
		--ruleset ../tools/api/spectral.yaml ../docs/openapi/*.json

format: $(VENV)/.dev ## Put the code into the style that `make lint` asks for
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

openapi: $(VENV)/.dev ## Keep what the functions say of themselves (docs/openapi); refuses what breaks clients
	$(BIN)/python -m tools.openapi

sbom: $(VENV)/.dev ## What ships, as CycloneDX: build/sbom, for each function and image
	@$(BIN)/python -m tools.sbom build/sbom $(TAG)

licences: $(VENV)/.dev ## docs/licences.md, from the locks
	$(BIN)/python -m tools.licences

# Asks a service for advisories, so it is for hand and not for tests.
audit-deps: $(VENV)/.dev ## What is known against the versions that ship
	$(BIN)/uv tool run pip-audit --strict --require-hashes --disable-pip \
		-r functions/requirements.txt -r functions/requirements-otel.txt \
		-r emulators/firestore/requirements.txt

# One lock for Python 3.11 and 3.13, without the address of any registry.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header
lock: $(VENV)/.dev ## Compile the requirements again (UPGRADE=--upgrade for newer versions)
	$(BIN)/$(COMPILE) $(UPGRADE) functions/requirements.in -o functions/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		functions/requirements-otel.in -o functions/requirements-otel.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		emulators/firestore/requirements.in -o emulators/firestore/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		requirements-dev.in -o requirements-dev.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		tests/conformance/requirements.in -o tests/conformance/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) tests/fuzz/requirements.in -o tests/fuzz/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) tools/api/requirements.in -o tools/api/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		benchmarks/servers/requirements.in -o benchmarks/servers/requirements.txt

# Images and the cluster of the current kubeconfig. The tag follows what is in the tree, so that a
# change makes a new revision.
NAMESPACE := shop
IMAGES ?= dev.local
TAG ?= $(shell git describe --always --dirty="-$$(git diff HEAD | cksum | cut -d' ' -f1)" 2>/dev/null || echo latest)
BUILDER ?= $(shell for b in docker podman buildah; do $$b info >/dev/null 2>&1 && echo $$b && break; done)
WITH_TAG := sed 's\#dev.local/\(.*\):latest\#$(IMAGES)/\1:$(TAG)\#'

tag: # The tag that images get
	@echo $(TAG)

setup-tests: $(VENV)/.dev # Everything that the tests need, for machines that are cut off later

image: ## Build the images of order, inventory and the emulator (docker, podman or buildah)
	@test -n "$(BUILDER)" || { echo "None of docker, podman and buildah answers 'info'."; exit 1; }
	$(BUILDER) build -t $(IMAGES)/order:$(TAG) -f functions/Dockerfile --build-arg FUNCTION=order .
	$(BUILDER) build -t $(IMAGES)/inventory:$(TAG) -f functions/Dockerfile \
		--build-arg FUNCTION=inventory .
	$(BUILDER) build -t $(IMAGES)/firestore-emulator:$(TAG) -f emulators/firestore/Dockerfile .

deploy: ## Both functions with kn, on the emulator, with the catalogue to try
	kubectl apply -f knative/namespace.yaml -f knative/settings.yaml -f knative/network-policies.yaml
	$(WITH_TAG) knative/emulator.yaml | kubectl apply -f -
	@NAMESPACE=$(NAMESPACE) sh knative/tokens.sh
	kubectl -n $(NAMESPACE) rollout status deployment/firestore-emulator --timeout=120s
	kn service apply -f knative/inventory.yaml -n $(NAMESPACE) --image $(IMAGES)/inventory:$(TAG)
	kn service apply -f knative/order.yaml -n $(NAMESPACE) --image $(IMAGES)/order:$(TAG)
	$(WITH_TAG) knative/reconcile.yaml | kubectl apply -f -
	$(WITH_TAG) knative/audit.yaml | kubectl apply -f -
	@$(MAKE) --no-print-directory seed
	@echo "order answers at $$(kn service describe order -n $(NAMESPACE) -o url)"

seed: ## Enter the catalogue in the cluster
	kubectl -n $(NAMESPACE) create configmap catalogue --from-file=local/catalogue.py \
		--dry-run=client -o yaml | kubectl apply -f -
	kubectl -n $(NAMESPACE) delete job catalogue --ignore-not-found
	$(WITH_TAG) knative/catalogue.yaml | kubectl apply -f -
	kubectl -n $(NAMESPACE) wait --for=condition=Complete job/catalogue --timeout=120s

undeploy: ## Take all of it away again
	kn service delete order inventory -n $(NAMESPACE) --wait || true
	kubectl delete namespace $(NAMESPACE) --ignore-not-found --wait

test-cluster: $(VENV)/.dev ## What needs a cluster with Knative; the images are built before
	$(BIN)/python -m pytest tests/cluster -s

clean: ## Remove what make has made
	rm -rf $(VENV) .run .conformance .fuzz .api emulators/firestore/build emulators/firestore/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing into $(VENV): once, about a minute"
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made functions/requirements.txt emulators/firestore/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes \
		-r functions/requirements.txt -r emulators/firestore/requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# It has wheels for some platforms alone, and cannot be built on others.
.fuzz/.made: tests/fuzz/requirements.txt
	rm -rf .fuzz && mkdir .fuzz
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --target .fuzz \
		--only-binary :all: -r tests/fuzz/requirements.txt \
		|| echo "atheris cannot be had here: requests from the descriptions alone"
	@touch $@

# Linters of the description and generators of clients. `make lint` and `make test` do not need them:
# without them, tests/integration/test_generated_clients.py is skipped.
.api/.made: tools/api/package.json tools/api/package-lock.json tools/api/requirements.txt
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null || { \
		echo "Node.js 20 or later with npm is needed: https://nodejs.org." \
			"Without it, leave out lint-api and test-clients."; exit 1; }
	rm -rf .api && mkdir .api
	cp tools/api/package.json tools/api/package-lock.json .api
	cd .api && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(PYTHON) -m venv .api/venv
	.api/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes \
		-r tools/api/requirements.txt
	@touch $@

# The client's tests are in its source distribution, whose hash the lock has.
.conformance/.made: tests/conformance/requirements.txt emulators/firestore/requirements.txt
	rm -rf .conformance
	$(PYTHON) -m venv .conformance/venv
	.conformance/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/conformance/requirements.txt
	sed -n '/^google-cloud-firestore==/,/[^\\]$$/p' emulators/firestore/requirements.txt \
		> .conformance/client.txt
	.conformance/venv/bin/pip download --quiet --disable-pip-version-check --require-hashes \
		--no-deps --no-binary :all: --no-build-isolation -d .conformance -r .conformance/client.txt
	tar -xzf .conformance/google_cloud_firestore-*.tar.gz -C .conformance --strip-components=1
	@touch $@
