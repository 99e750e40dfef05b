# What create.sh and delete.sh agree on. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2034  # the scripts that source it use these

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

clusters=(cloud-energy cloud-cost cloud-performance fog-energy fog-cost fog-performance
    edge-energy edge-cost edge-performance)

# The lead runs in one of them; agents reach it there, by the name that Docker gives the node.
lead_cluster=cloud-performance
lead_host=$lead_cluster-worker
lead_port=30480

# Keys, certificates and tokens, kept outside of the repository.
state=${QONNECT_KIND_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/qonnect-kind}

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || die "$program is missing; README.md says what is needed"
    done
}
