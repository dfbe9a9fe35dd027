# Two commands set everything up on a fresh Debian 12: `make quickstart` and `make test`. The others are for developers.
.DEFAULT_GOAL := help
.PHONY: help quickstart test build python deps lint format sanitize fuzz bench clean

CMAKE := cmake
PY := build/venv/bin/python

help:  ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: build python  ## install, build, make the sample shop and query it from Python
	@tools/quickstart

test: build python  ## install, build, start the real servers, run every test
	@$(PY) tools/servers.py -- $(PY) tools/test.py

deps:
	@tools/install-deps

build: deps  ## the library and the C++ tests
	@mkdir -p build
	@$(CMAKE) --preset release >build/release.log 2>&1 || { tail -n 20 build/release.log; \
	  echo "make: configuring failed; the whole output is in build/release.log"; exit 1; }
	@$(CMAKE) --build --preset release

python: deps  ## the Python package, into build/venv
	@tools/install-python

lint: deps  ## layout, formatting and the linters
	@tools/lint

format: deps  ## format C++ and Python in place
	@git ls-files '*.cc' '*.h' | xargs clang-format-19 -i
	@$(PY) -m ruff format -q .
	@$(PY) -m ruff check -q --fix .

sanitize: deps  ## the core tests under AddressSanitizer, UBSan and ThreadSanitizer, and the fuzzers
	@tools/sanitize

bench: build python  ## the benchmarks with their peers; ARGS="--only checkout" runs one group
	@$(PY) bench/run.py $(ARGS)

clean:
	rm -rf build
