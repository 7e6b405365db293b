#!/usr/bin/env bash
# Runs crosscheck.py, with the arguments given here, beside the published Python reference.
# Needs Python 3.9 or later with venv, Go, and on the first run pip's package index.
#
#   PYTHON             the interpreter to start from (default python3)
#   CROSSCHECK_VENV    where the virtual environment is kept (default .venv in this folder)
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
venv=${CROSSCHECK_VENV:-$here/.venv}
python=${PYTHON:-python3}

# The stamp is written last, so an environment that is incomplete or has other pins is made anew.
pins=$(cat -- "$here/requirements.txt" "$here/requirements-reference.txt")
if ! "$venv/bin/python" -c '' 2>/dev/null || [[ "$(cat -- "$venv/pins" 2>/dev/null)" != "$pins" ]]; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9) and "crosscheck: needs Python 3.9 or later")'
    echo "crosscheck: installing the reference into $venv" >&2
    if [[ -f $venv/pyvenv.cfg ]]; then rm -rf -- "$venv"; fi
    "$python" -m venv -- "$venv"
    pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps)
    "${pip[@]}" -r "$here/requirements.txt"
    "${pip[@]}" --no-build-isolation -r "$here/requirements-reference.txt"
    printf '%s\n' "$pins" >"$venv/pins"
fi

PYTHONPATH="$here/shims" exec "$venv/bin/python" "$here/crosscheck.py" "$@"
