# Two commands set everything up on a fresh Debian 12: `make quickstart` and `make test`. The others are for developers.
.DEFAULT_GOAL := help
.PHONY: help quickstart test configure build program python deps lint format sanitize bench clean

CMAKE := cmake
PY := build/venv/bin/python

help:  ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: program python  ## install, build, make the sample shop, query it from Python and from the program
	@tools/quickstart

test: build python  ## install, build, start the real servers, run every test
	@$(PY) tools/servers.py -- $(PY) tools/test.py

deps:
	@tools/install-deps

configure: deps
	@mkdir -p build
	@$(CMAKE) --preset release >build/release.log 2>&1 || { tail -n 20 build/release.log; \
	  echo "make: configuring failed, see above and build/release.log; a package that is missing is installed by 'make deps'"; \
	  exit 1; }

build: configure  ## the library, the program and the C++ tests
	@$(CMAKE) --build --preset release || { echo "make: the build failed, see the first error above; \
	'make clean' and another try rule out leftovers"; exit 1; }

program: configure  ## the program alone, build/bin/cenote
	@$(CMAKE) --build --preset release --target cenote_program || { echo "make: the build failed, see the first error \
	above; 'make clean' and another try rule out leftovers"; exit 1; }

python: deps  ## the Python package, into build/venv
	@tools/install-python

lint: configure python  ## layout, formatting, clang-tidy, ruff, mypy, TypeScript
	@tools/lint

format: deps  ## format C++, Python and TypeScript in place
	@git ls-files '*.cc' '*.h' | xargs clang-format-19 -i
	@$(PY) -m ruff format -q .
	@$(PY) -m ruff check -q --fix .
	@$(PY) tools/build-dashboard.py --format

sanitize: deps  ## the core tests under AddressSanitizer, UBSan and ThreadSanitizer, and the fuzzers
	@tools/sanitize

bench: build python  ## the benchmarks with their peers; ARGS="--only checkout" runs one group
	@$(PY) bench/run.py $(ARGS)

clean:
	rm -rf build
