# `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Our own code is not installed; PYTHONPATH names its folders.
export PYTHONPATH := functions/common:functions/order:functions/inventory:emulators/firestore:.
export ORDER_PORT INVENTORY_PORT EMULATOR_PORT

.DEFAULT_GOAL := help
.PHONY: help setup run test test-services test-crashes test-soak-and-pages test-libraries test-unit test-properties compare-traces rule-mutants test-hostile test-crash test-clients soak fuzz mutants conformance test-emulator-versions emulator-support demo demo-local screenshots bench bench-emulator bench-servers verify-firestore audit lint lint-api format openapi sbom licences audit-deps lock setup-tests tag image deploy seed undeploy test-cluster deploy-events deploy-observability clean

# A line `##@ Title` begins a group.
help: # List the targets
	@awk 'BEGIN { FS = ":.*## "; print "make TARGET [VARIABLE=value ...]" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-22s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Run it
setup: $(VENV)/.run ## Create .venv with the dependencies of `make run`
run: $(VENV)/.run ## Start emulator, inventory and order on this machine, with a catalogue
	@exec $(BIN)/python -m local

# The shop of `make run` in this folder, unless FIRESTORE_EMULATOR_HOST names another database.
audit: $(VENV)/.run ## Check every invariant of the running shop (GRACE=0; ORDER_PORT as in run)
	@$(BIN)/python -m local.audit $(if $(GRACE),--grace $(GRACE))

demo: $(VENV)/.dev ## Cold start, sale, scale-down on the cluster, with a report (DEMO=--help)
	@$(BIN)/python -m demo $(DEMO)

demo-local: $(VENV)/.dev ## The same sale on processes of this machine
	@$(BIN)/python -m demo --local $(DEMO)

clean: ## Remove all generated files, and .run with its data and reports
	@$(PYTHON) -m local.running
	rm -rf $(VENV) .run .conformance .fuzz .mutants .api emulators/firestore/build emulators/firestore/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build

##@ Test it

# Four parts run at the same time on two cores, because they wait for processes and browsers. The
# hostile clients come last, alone, because they measure throughput. TESTS names options or paths
# instead: one process runs them.
SERVICES := tests/integration tests/fuzz --ignore=tests/integration/pages
LIBRARIES := $(filter-out tests/crash tests/soak tests/fuzz tests/integration tests/hostile tests/cluster tests/fixtures tests/support,\
	$(patsubst %/,%,$(sort $(wildcard tests/*/))))
# A test that waits for its own threads forever cannot fail at its time limit of 300 s. The second limit
# ends the run, with the stacks of all threads.
PYTEST := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL $(BIN)/python -m pytest \
	-o faulthandler_timeout=420 -o faulthandler_exit_on_timeout=true
BY_TARGET := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: $(VENV)/.dev ## All tests that need no cluster: about 13 minutes on two cores (TESTS=PATH)
ifdef TESTS
	$(PYTEST) --ignore=tests/cluster $(TESTS)
else
	@echo "Four parts run at the same time. Each prints its output when it ends, after 5 to 10 minutes."
	@failed=0; \
	$(MAKE) --no-print-directory -j4 --keep-going $(BY_TARGET) test-libraries test-crashes test-services test-soak-and-pages || failed=1; \
	$(PYTEST) tests/hostile || failed=1; \
	exit $$failed
endif

test-crashes: $(VENV)/.dev # A crash at every remote call, and random kills
	$(PYTEST) tests/crash

test-soak-and-pages: $(VENV)/.dev # A soak of two minutes, and the pages in a browser
	$(PYTEST) tests/soak tests/integration/pages

test-services: $(VENV)/.dev # The other integration tests, with real processes, and random requests
	$(PYTEST) $(SERVICES)

test-libraries: $(VENV)/.dev # The rest, unit tests included
	$(PYTEST) $(LIBRARIES)

test-unit: $(VENV)/.dev ## Unit tests: no sockets, no processes, about 30 seconds
	$(BIN)/python -m pytest tests/unit -m "not hypothesis and not exhaustive" $(TESTS)

test-properties: $(VENV)/.dev ## Property tests, the protocol's state space, growth of work: about a minute
	$(BIN)/python -m pytest tests/unit -m "hypothesis or exhaustive" $(TESTS)

compare-traces rule-mutants: export PYTHONPATH := $(PYTHONPATH):tests
compare-traces: $(VENV)/.dev ## Compare the code with every trace of the model: ten minutes
	$(BIN)/python -m support.specification.comparison

rule-mutants: $(VENV)/.dev ## Break each rule of the model in the code (OTHERS=--others)
	$(BIN)/python -m support.specification.mutants $(OTHERS)

test-hostile: $(VENV)/.dev ## Slow and hostile clients, with the full requirements: five minutes
	HOSTILE_BAR=full $(BIN)/python -m pytest tests/hostile -s $(TESTS)

CRASH_SECONDS ?= 600
test-crash: $(VENV)/.dev ## Random SIGKILLs under load for ten minutes (CRASH_SECONDS, CRASH_SEED)
	@echo "The result comes after $(CRASH_SECONDS) seconds."
	CRASH_SECONDS=$(CRASH_SECONDS) $(BIN)/python -m pytest tests/crash/test_random_kills.py

SOAK_SECONDS ?= 3600
soak: $(VENV)/.dev ## An hour of use, with rollovers between releases (SOAK_SECONDS, PREVIOUS)
	SOAK_SECONDS=$(SOAK_SECONDS) PREVIOUS=$(PREVIOUS) $(BIN)/python -m pytest tests/soak -s

FUZZ_SECONDS ?= 600
fuzz: export PYTHONPATH := $(PYTHONPATH):.fuzz
fuzz: $(VENV)/.dev .fuzz/.made ## Random requests for ten minutes (FUZZ_SECONDS, FUZZ_SEED)
	@echo "The result comes after about $(FUZZ_SECONDS) seconds."
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/fuzz

# Results in tools/mutants/results.json, report in docs/mutants.md.
mutants: $(VENV)/.dev .mutants/.made ## Change the code, and see which unit tests notice: hours (MODULES, AGAIN)
	$(BIN)/python -m tools.mutants $(if $(AGAIN),--again) $(MODULES)
	$(BIN)/python -m tools.mutants.report

test-clients: $(VENV)/.dev .api/.made ## Orders by generated Python and TypeScript clients; needs Node.js 20
	$(BIN)/python -m pytest tests/integration/clients/test_generated_clients.py -rs

conformance: $(VENV)/.run .conformance/.made ## Run the Firestore client's own system tests on the embedded emulator
	$(BIN)/python tests/conformance/run.py $(TESTS)

# It installs packages, so no test runs it.
# VERSIONS="--only oldest --python python3.13" selects.
test-emulator-versions: $(VENV)/.dev ## The emulator on its oldest and newest dependencies: ten minutes (VERSIONS)
	$(BIN)/python -m tools.emulator_versions $(VERSIONS)

##@ Measure it
# PART="hot warm" selects.
bench: $(VENV)/.dev ## Compare with other designs, on Firestore and PostgreSQL: 20 minutes (PART)
	$(BIN)/python -m benchmarks.shop $(PART)

bench-emulator: $(VENV)/.dev ## Compare our emulator with the official one: latency, start, memory
	$(BIN)/python -m benchmarks.emulator

bench-servers: $(VENV)/.dev ## Compare our HTTP server with others: half an hour (SERVERS=--help)
	$(BIN)/python -m benchmarks.servers $(SERVERS)

# It writes to a real project, so no test runs it there.
verify-firestore: $(VENV)/.dev ## Try the shop on a Firestore project (PROJECT=..., VERIFY=--help)
	@$(BIN)/python -m tools.verify_firestore \
		$(if $(PROJECT),--project '$(PROJECT)') $(if $(DATABASE),--database '$(DATABASE)') $(VERIFY)

##@ Change it
lint: $(VENV)/.dev ## Check style, types and import rules: a minute
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-api: .api/.made ## Lint docs/openapi with redocly and spectral; needs Node.js 20 or later
	cd .api && npx --no-install redocly lint --config ../tools/api/redocly.yaml ../docs/openapi/*.json
	cd .api && npx --no-install spectral lint --fail-severity=hint \
		--ruleset ../tools/api/spectral.yaml ../docs/openapi/*.json

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

openapi: $(VENV)/.dev ## Update docs/openapi; fails if a change breaks clients
	$(BIN)/python -m tools.openapi

# REPORT names a report; by default that of the last demo. OUT names another folder than docs/.
REPORT ?= $(lastword $(sort $(wildcard .run/demo/*/report.html)))
screenshots: $(VENV)/.dev ## Pictures of all pages, and of the last demo's report (REPORT)
	@$(BIN)/python -m demo.screenshots $(REPORT)

emulator-support: $(VENV)/.dev ## Write the emulator's SUPPORT.md from its tests; needs the official one
	$(BIN)/python -m tools.emulator_support

sbom: $(VENV)/.dev ## Write bills of materials (CycloneDX) to build/sbom
	@$(BIN)/python -m tools.sbom build/sbom $(TAG)

licences: $(VENV)/.dev ## Update docs/licences.md from the lock files
	$(BIN)/python -m tools.licences

# It calls an advisory service, so no test runs it.
audit-deps: $(VENV)/.dev ## Look up known vulnerabilities of the locked versions
	$(BIN)/uv tool run pip-audit --strict --require-hashes --disable-pip \
		-r functions/requirements.txt -r functions/requirements-otel.txt \
		-r emulators/firestore/requirements.txt

# One lock for Python 3.11 and later, without the address of a registry.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header
lock: $(VENV)/.dev ## Update the lock files (UPGRADE=--upgrade for newer versions)
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
	$(BIN)/$(COMPILE) $(UPGRADE) -c requirements-dev.txt \
		tools/mutants/requirements.in -o tools/mutants/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		benchmarks/servers/requirements.in -o benchmarks/servers/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		benchmarks/shop/peers/requirements.in -o benchmarks/shop/peers/requirements.txt

##@ On a cluster
# Images, and the cluster of the current kubeconfig. The tag changes with the working tree, so that
# a change makes a new revision.
NAMESPACE := shop
IMAGES ?= dev.local
TAG ?= $(shell { git describe --always --dirty="-$$(git diff HEAD | cksum | cut -d' ' -f1)"; } 2>/dev/null || echo latest)$(if $(TELEMETRY),-$(TELEMETRY))
BUILDER ?= $(shell for b in docker podman buildah; do $$b info >/dev/null 2>&1 && echo $$b && break; done)
# Applies a folder with the images of `make image`, as Argo CD and Flux do: by a kustomization that refers
# to the folder and names the images. The second argument is a component, or empty.
define APPLY
@mkdir -p .run/$@
@{ echo 'resources: [../../$(1)]'; \
	echo 'components: [$(2)]'; \
	echo 'images:'; \
	for name in order inventory firestore-emulator; do \
		echo "- {name: dev.local/$$name, newName: $(IMAGES)/$$name, newTag: '$(TAG)'}"; \
	done; } > .run/$@/kustomization.yaml
kubectl apply -k .run/$@
endef

tag: # Print the tag of the images
	@echo $(TAG)

setup-tests: $(VENV)/.dev # Install all test dependencies, for machines without a network later

image: ## Build the images: order, inventory, emulator (TELEMETRY=otel)
	@test -n "$(BUILDER)" || { echo "No container builder found: 'info' fails for docker, podman and buildah."; exit 1; }
	for function in order inventory; do \
		$(BUILDER) build -t $(IMAGES)/$$function:$(TAG) -f functions/Dockerfile \
			--build-arg FUNCTION=$$function --build-arg TELEMETRY=$(TELEMETRY) . || exit 1; \
	done
	$(BUILDER) build -t $(IMAGES)/firestore-emulator:$(TAG) -f emulators/firestore/Dockerfile .

deploy: ## Deploy both functions and the emulator, with a small catalogue
	kubectl apply -f knative/namespace.yaml
	@NAMESPACE=$(NAMESPACE) sh knative/tokens.sh
	$(call APPLY,knative,$(if $(TELEMETRY),../../observability/functions))
	kubectl -n $(NAMESPACE) rollout status deployment/firestore-emulator --timeout=120s
	kubectl -n $(NAMESPACE) wait --for=condition=Ready ksvc/inventory ksvc/order --timeout=300s
	@$(MAKE) --no-print-directory seed
	@echo "order is at $$(kn service describe order -n $(NAMESPACE) -o url)"

deploy-events: ## Send events to a broker, and to a receiver; needs Knative Eventing
	$(call APPLY,knative/events)
	kubectl -n $(NAMESPACE) wait --for=condition=Ready broker/default trigger/event-receiver \
		sinkbinding/order sinkbinding/inventory ksvc/event-receiver ksvc/order ksvc/inventory --timeout=180s

deploy-observability: ## Deploy Prometheus, with the alarms and the metric of starts from zero
	$(call APPLY,observability)
	kubectl -n shop-monitoring rollout status deployment/prometheus --timeout=120s
	kubectl -n shop-monitoring rollout status deployment/cold-starts --timeout=120s

seed: ## Enter the catalogue in the cluster
	kubectl -n $(NAMESPACE) create configmap catalogue --from-file=local/catalogue.py \
		--dry-run=client -o yaml | kubectl apply -f -
	kubectl -n $(NAMESPACE) delete job catalogue --ignore-not-found
	$(call APPLY,knative/catalogue)
	kubectl -n $(NAMESPACE) wait --for=condition=Complete job/catalogue --timeout=120s

undeploy: ## Remove the shop from the cluster
	kn service delete order inventory -n $(NAMESPACE) --wait || true
	kubectl delete namespace $(NAMESPACE) --ignore-not-found --wait

test-cluster: $(VENV)/.dev ## Tests on a cluster with Knative; run `make image` before
	$(BIN)/python -m pytest tests/cluster -s

# Each says first which cluster it acts on, but not as a part of another target.
ifeq ($(MAKELEVEL),0)
deploy deploy-events deploy-observability seed test-cluster: | show-cluster
endif
undeploy: | show-cluster-of-shop

.PHONY: show-cluster show-cluster-of-shop
show-cluster: # Print the cluster of the current kubeconfig
	@$(PYTHON) -m deployment.context

show-cluster-of-shop: # The same; fails if the shop is not there
	@$(PYTHON) -m deployment.context --delete

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing into $(VENV): once, one to two minutes"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made functions/requirements.txt emulators/firestore/requirements.txt
	@echo "The packages of the functions and the emulator:"
	@$(BIN)/python -m tools.install -r functions/requirements.txt -r emulators/firestore/requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "The packages of tests and tools:"
	@$(BIN)/python -m tools.install -r requirements-dev.txt
	@touch $@

# atheris has wheels for some platforms only, and does not build on others.
.fuzz/.made: tests/fuzz/requirements.txt
	rm -rf .fuzz && mkdir .fuzz
	@echo "The packages of make fuzz:"
	@$(BIN)/python -m tools.install --target .fuzz --only-binary :all: -r tests/fuzz/requirements.txt \
		|| echo "atheris is not available here: only requests from the OpenAPI descriptions"
	@touch $@

.mutants/.made: tools/mutants/requirements.txt
	rm -rf .mutants && mkdir .mutants
	@echo "The packages of make mutants:"
	@$(BIN)/python -m tools.install --target .mutants -r tools/mutants/requirements.txt
	@touch $@

# Linters of the description and generators of clients. `make lint` and `make test` do not need them:
# without them, tests/integration/clients/test_generated_clients.py is skipped.
.api/.made: tools/api/package.json tools/api/package-lock.json tools/api/requirements.txt
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null || { \
		echo "Node.js 20 or later with npm is needed: https://nodejs.org." \
			"Without it, leave out lint-api and test-clients."; exit 1; }
	@echo "Installing linters and generators into .api: once, about a minute"
	rm -rf .api && mkdir .api
	cp tools/api/package.json tools/api/package-lock.json .api
	cd .api && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(PYTHON) -m venv .api/venv
	@.api/venv/bin/python -m tools.install -r tools/api/requirements.txt
	@touch $@

# The client's tests are in its source distribution; the lock file has its hash.
.conformance/.made: tests/conformance/requirements.txt emulators/firestore/requirements.txt
	rm -rf .conformance
	$(PYTHON) -m venv .conformance/venv
	@echo "The packages of the client's own tests:"
	@.conformance/venv/bin/python -m tools.install -r tests/conformance/requirements.txt
	sed -n '/^google-cloud-firestore==/,/[^\\]$$/p' emulators/firestore/requirements.txt \
		> .conformance/client.txt
	.conformance/venv/bin/pip download --quiet --disable-pip-version-check --require-hashes \
		--no-deps --no-binary :all: --no-build-isolation -d .conformance -r .conformance/client.txt
	tar -xzf .conformance/google_cloud_firestore-*.tar.gz -C .conformance --strip-components=1
	@touch $@
