#!/bin/sh
# Makes .venv, or says in one line what is missing. Called by the Makefile; PYTHON may name the
# interpreter. An environment that still works is left as it is.
set -eu

venv=.venv
fail() { echo "ropeway: $*" >&2; exit 1; }
runs() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

if runs "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

if [ -n "${PYTHON:-}" ]; then
    runs "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or newer."
else
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 none; do
        if runs "$candidate"; then PYTHON=$candidate; break; fi
    done
    [ -n "${PYTHON:-}" ] ||
        fail "needs Python 3.11 or newer; name it with: make PYTHON=/path/to/python3"
fi

# Debian has venv without pip unless python3-venv is installed: try what else may be there.
make_with() {
    rm -rf "$venv"
    "$@" >/dev/null 2>&1 && "$venv/bin/python" -m pip --version >/dev/null 2>&1
}
bare_and_pip() { "$PYTHON" -m venv --without-pip "$venv" && "$PYTHON" -m pip --python "$venv/bin/python" install pip; }

make_with "$PYTHON" -m venv "$venv" ||
    make_with uv venv --quiet --seed --python "$PYTHON" "$venv" ||
    make_with "$PYTHON" -m virtualenv --quiet "$venv" ||
    make_with bare_and_pip || {
        rm -rf "$venv"
        sudo="sudo "
        [ "$(id -u)" -ne 0 ] || sudo=""
        fail "cannot make a virtual environment; type: ${sudo}apt-get install -y python3-venv"
    }
