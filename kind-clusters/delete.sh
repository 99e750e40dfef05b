#!/usr/bin/env bash
# Deletes the clusters that create.sh made, and the keys and tokens. The Git repository stays as it is.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=settings.sh
. "$(dirname "$0")/settings.sh"

need kind
existing=$(kind get clusters 2>/dev/null)
for name in "${clusters[@]}"; do
    if grep -qx "$name" <<<"$existing"; then
        say "deleting $name"
        kind delete cluster --name "$name"
    fi
done
rm -rf "$state"
