# Each target makes the virtual environment first, from the locks, when it is not there yet.
# Needs Python 3.11 or newer with its venv module, and nothing else. Works with GNU make 3.81.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# Two cores, each with a Kafka of its own: most tests wait for processes that they have started.
TWO := --numprocesses 2 --dist loadfile

.PHONY: demo test test-slow lint compose-smoke eval bench model lock clean

demo: $(VENV)/installed
	@$(BIN)/khabar demo

test: $(VENV)/dev
	$(BIN)/python -m pytest -m "not slow" $(TWO)

# 5 is pytest's exit code for "no test is marked so".
test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow $(TWO) || test $$? -eq 5

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Needs a Docker daemon, or root and Docker's own: it says what to install. A quarter of an hour.
compose-smoke: $(VENV)/dev
	$(BIN)/python -m tools.compose_smoke

# Needs the development data (KHABAR_SHARED), and for languages a folder of a MediaWiki (MEDIAWIKI),
# which are not part of this repository.
eval: $(VENV)/dev
	$(BIN)/python -m benchmarks.stories
	$(BIN)/python -m benchmarks.parts
	$(if $(MEDIAWIKI),$(BIN)/python -m benchmarks.language $(MEDIAWIKI))

# The recognizer, from the data that KHABAR_SHARED holds: half an hour on one core. Several
# threads would add numbers up in another order, and the file would not be the same to the bit.
model: $(VENV)/dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
		$(BIN)/python -m tools.train_recognizer $(or $(KHABAR_SHARED),../shared)/data

bench: $(VENV)/dev
	@set -e; for file in benchmarks/*.py; do \
		name=$$(basename "$$file" .py); \
		case "$$name" in _*) continue ;; esac; \
		echo "== $$name"; $(BIN)/python -m "benchmarks.$$name"; \
	done

# Keeps the versions that still fit; delete a lock first to bring all of it up to date.
# camel-tools' own metadata pulls torch (6 GB), which its text utilities do not need: it has a lock
# of its own and is installed without its dependencies.
lock: $(VENV)/dev
	$(PIP) install uv
	echo "camel-tools ; python_version < '0'" > $(VENV)/override.txt
	$(UV_COMPILE) pyproject.toml --group build --override $(VENV)/override.txt -o requirements.lock
	$(UV_COMPILE) --group dev --constraint requirements.lock -o requirements-dev.lock
	sed -n 's/^ *"\(camel-tools.*\)",.*/\1/p' pyproject.toml \
		| $(UV_COMPILE) --no-deps - -o camel-tools.lock

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed: requirements.lock camel-tools.lock pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		found=; for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
			if $$python -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))" \
				2>/dev/null; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "Khabar needs Python 3.11 or newer with its venv module, and none was found." >&2; \
			echo "Install one (Debian, Ubuntu: apt install python3-venv), or name it:" >&2; \
			echo "make PYTHON=/path/to/python3" >&2; exit 1; \
		fi; \
		echo "making $(VENV) with $$($$found --version)"; $$found -m venv $(VENV); }
	@echo "installing what requirements.lock names, about 210 MB, once"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --require-hashes --no-deps -r camel-tools.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pipelines.rehearsal
	@touch $@

$(VENV)/dev: $(VENV)/installed requirements-dev.lock
	@echo "installing what requirements-dev.lock names, about 70 MB, once"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
