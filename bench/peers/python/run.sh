#!/usr/bin/env bash
# Runs peers.py, with the arguments given here, beside the Python implementations of Sphinx.
# Needs Python 3.9 or later with venv, and on the first run pip's package index; sphinxmix also a C compiler and the
# headers of OpenSSL 3 and Python, and is left out where it cannot be built.
#
#   PYTHON        the interpreter to start from (default python3)
#   PEERS_VENV    where the virtual environment is kept (default .venv in this folder)
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# Pins the reference, and has stand-ins for what of it no longer builds.
crosscheck=$here/../../../testvectors/python
venv=${PEERS_VENV:-$here/.venv}
python=${PYTHON:-python3}

# The stamp is written last, so an environment that is incomplete or has other pins is made anew.
pins=$(cat -- "$crosscheck"/requirements*.txt "$here/requirements-sphinxmix.txt")
if ! "$venv/bin/python" -c '' 2>/dev/null || [[ "$(cat -- "$venv/pins" 2>/dev/null)" != "$pins" ]]; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9) and "peers: needs Python 3.9 or later")'
    echo "peers: installing the Python peers into $venv" >&2
    if [[ -f $venv/pyvenv.cfg ]]; then rm -rf -- "$venv"; fi
    "$python" -m venv -- "$venv"
    pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps)
    "${pip[@]}" -r "$crosscheck/requirements.txt" >&2
    "${pip[@]}" --no-build-isolation -r "$crosscheck/requirements-reference.txt" >&2
    if ! "${pip[@]}" --no-build-isolation -r "$here/requirements-sphinxmix.txt" >"$venv/sphinxmix.log" 2>&1; then
        echo "peers: sphinxmix could not be built: see $venv/sphinxmix.log" >&2
    fi
    printf '%s\n' "$pins" >"$venv/pins"
fi

PYTHONPATH="$here/shims:$crosscheck/shims" exec "$venv/bin/python" "$here/peers.py" "$@"
