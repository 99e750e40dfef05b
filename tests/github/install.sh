#!/usr/bin/env bash
# Puts what GitHub publishes about itself into ${QONNECT_CACHE:-${XDG_CACHE_HOME:-~/.cache}/qonnect}/github, where the
# tests look: the OpenAPI description of its API, and examples of what its webhooks deliver. Run it as often as you
# like; what is there is left alone.
set -euo pipefail

github=${QONNECT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qonnect}/github
wanted=$(realpath "$(dirname "$0")")/packages.txt

# Written last: what is there is complete.
if cmp --silent "$wanted" "$github/packages.txt"; then
    exit 0
fi
printf '%s  fetching the description of GitHub\n' "$(date +%H:%M:%S)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
rm -rf "$github"
mkdir -p "$github"
while read -r package sha512 file name; do
    archive=$(npm pack --silent "$package")
    printf '%s  %s\n' "$sha512" "$archive" | sha512sum --check --quiet
    tar --extract --gzip --to-stdout --file "$archive" "package/$file" >"$github/$name"
done < <(grep -v '^#' "$wanted")
cp "$wanted" "$github/packages.txt"
