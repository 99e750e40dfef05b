#!/usr/bin/env bash
# Keeps one comment with the plan on the pull request: made once, edited from then on.
set -euo pipefail

marker='<!-- qonnect: placement -->'
# GitHub takes 65,536 characters; bytes are never fewer.
bytes_max=60000
# More comments than anybody reads; after so many a second one of ours does no harm.
pages_max=20
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# METHOD PATH [BODY]: prints the answer. The token is in no argument, which others on the machine could read.
ask() {
    local options=(--silent --show-error --fail-with-body --max-time 30 --retry 3 --request "$1")
    [ $# -lt 3 ] || options+=(--header 'Content-Type: application/json' --data-binary "@$3")
    printf 'header = "Authorization: Bearer %s"\n' "$TOKEN" | curl --config - "${options[@]}" \
        --header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' \
        "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/$2"
}

# The number of our comment, if there is one.
known() {
    local page comments id
    for page in $(seq "$pages_max"); do
        comments=$(ask GET "issues/$PULL_REQUEST/comments?per_page=100&page=$page") || return
        id=$(jq --arg marker "$marker" \
            '[.[] | select(.body // "" | startswith($marker))][0].id // empty' <<<"$comments") || return
        if [ -n "$id" ] || [ "$(jq length <<<"$comments")" -lt 100 ]; then
            printf '%s' "$id"
            return
        fi
    done
}

text() {
    printf '%s\n' "$marker"
    if [ "$(wc -c <"$RUNNER_TEMP/plan.md")" -le "$bytes_max" ]; then
        cat "$RUNNER_TEMP/plan.md"
    else
        # Whole lines: a table that is cut is still a table.
        head --bytes "$bytes_max" "$RUNNER_TEMP/plan.md" | sed '$d'
        printf '\nCut here; the summary of the job has all of it.\n'
    fi
}

write() {
    local id
    id=$(known) || return
    if [ -n "$id" ]; then
        ask PATCH "issues/comments/$id" "$work/body"
    else
        ask POST "issues/$PULL_REQUEST/comments" "$work/body"
    fi
}

text | jq --raw-input --slurp '{body: .}' >"$work/body"
if ! write >"$work/answer"; then
    # The plan is in the summary, and nothing is wrong with it.
    cat "$work/answer" >&2
    printf '::warning title=qonnect::%s, %s\n' 'the plan is in the summary of the job; it could not be commented' \
        'for which the token needs "pull-requests: write" (branches of forks never have that)'
fi
