#!/usr/bin/env bash
# Faults become annotations on the lines of the change, and fail the job.
set -euo pipefail

options=()
[ "$STRICT" != true ] || options+=(--strict)
qonnect validate --output github "${options[@]}" -- "$REPOSITORY_PATH"
