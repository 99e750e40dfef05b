#!/usr/bin/env bash
# Builds qonnect from the copy that this action lies in, unless the job has put one on its PATH.
set -euo pipefail

if command -v qonnect >/dev/null; then
    exit 0
fi
cargo install --locked --root "$RUNNER_TEMP/qonnect" --path "$GITHUB_ACTION_PATH/../../../reconciler"
printf '%s\n' "$RUNNER_TEMP/qonnect/bin" >>"$GITHUB_PATH"
