#!/bin/sh
# Fetch axe-core for the tests of the dashboard in a browser, out of a package that carries it: alone, without what
# that package needs to be run.
set -eu
[ -f .cache/axe/axe_playwright_python/axe.min.js ] && exit 0
echo "fetching axe-core for the tests ..."
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --target .cache/axe \
    "axe-playwright-python==0.1.8" || echo "axe-core could not be fetched: tests that need it are skipped" >&2
