#!/usr/bin/env bash
# Puts the programs of requirements.txt into ${QONNECT_CACHE:-${XDG_CACHE_HOME:-~/.cache}/qonnect}/python, where the
# tests look. Run it as often as you like; what is there is left alone.
set -euo pipefail

python=${QONNECT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qonnect}/python
wanted=$(dirname "$0")/requirements.txt

# Written last: what is there is complete.
if cmp --silent "$wanted" "$python/requirements.txt"; then
    exit 0
fi
printf '%s  installing check-jsonschema and pre-commit\n' "$(date +%H:%M:%S)"
rm -rf "$python"
python3 -m venv "$python"
"$python/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
cp "$wanted" "$python/requirements.txt"
