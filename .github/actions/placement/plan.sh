#!/usr/bin/env bash
# Writes what the branch changes into plan.md and the summary of the job.
set -euo pipefail

options=(--base "$BASE" --output markdown)
[ -z "$SNAPSHOT" ] || options+=(--snapshot "$SNAPSHOT")
if [ -n "$SNAPSHOT_TOKEN" ]; then
    token=$RUNNER_TEMP/qonnect-token
    trap 'rm -f "$token"' EXIT
    (umask 077 && printf '%s' "$SNAPSHOT_TOKEN" >"$token")
    options+=(--token-file "$token")
fi

status=0
qonnect plan "${options[@]}" -- "$REPOSITORY_PATH" >"$RUNNER_TEMP/plan.md" || status=$?
case $status in
0) changes=false ;;
1) changes=true ;;
*) exit "$status" ;;
esac
printf 'changes=%s\n' "$changes" >>"$GITHUB_OUTPUT"
cat "$RUNNER_TEMP/plan.md" >>"$GITHUB_STEP_SUMMARY"
