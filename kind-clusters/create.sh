#!/usr/bin/env bash
# Creates nine clusters with kind, a lead in one of them and an agent in each. What exists is left alone, so run it
# again after a failure.
#
#   REPOSITORY=https://git.example.org/me/fleet.git GIT_TOKEN_FILE=token ./create.sh
#
# REPOSITORY holds a copy of example-repo; the clusters must reach it. GIT_TOKEN_FILE holds a token that may push to
# it. ONLY="cloud-performance fog-cost" creates some of the clusters.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=settings.sh
. "$(dirname "$0")/settings.sh"

repository=${REPOSITORY:-}
token_file=${GIT_TOKEN_FILE:-}
[ -n "$repository" ] || die "REPOSITORY is not set: the https URL of a copy of example-repo"
[ -r "$token_file" ] || die "GIT_TOKEN_FILE is not set or not readable: a token that may push to $repository"
need docker kind kubectl openssl
if [ -n "${ONLY:-}" ]; then
    read -r -a clusters <<<"$ONLY"
fi

on() { kubectl --context "kind-$1" "${@:2}"; }

# Makes or updates an object that kubectl can only create.
put() { on "$1" create "${@:2}" --dry-run=client --output=yaml | on "$1" apply --server-side --filename=- >/dev/null; }

# ------------------------------------------------------------------------------------------ images and clusters

build_images() {
    local image
    for image in lead:qonnect agent:qonnect-agent; do
        say "building ${image#*:}: some minutes the first time"
        DOCKER_BUILDKIT=1 docker build --file "$here/images/${image%:*}.Dockerfile" --tag "${image#*:}:local" "$here/.."
    done
}

create_cluster() {
    local name=$1
    if kind get clusters 2>/dev/null | grep -qx "$name"; then
        say "$name exists"
    else
        say "creating $name"
        kind create cluster --config "$here/clusters/$name.yaml" --wait 120s
    fi
    kind load docker-image qonnect-agent:local --name "$name"
}

# --------------------------------------------------------------------------------------- certificate and tokens

# An authority of our own, and the lead's certificate for the name that agents call it by.
make_certificate() {
    [ -s "$state/lead.crt" ] && return
    say "making the lead's certificate in $state"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=qonnect-kind \
        -keyout "$state/authority.key" -out "$state/authority.crt" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$lead_host" \
        -keyout "$state/lead.key" -out "$state/lead.csr" 2>/dev/null
    printf 'subjectAltName=DNS:%s,DNS:localhost,DNS:lead.qonnect-lead.svc,IP:127.0.0.1\n' "$lead_host" \
        >"$state/lead.ext"
    openssl x509 -req -in "$state/lead.csr" -CA "$state/authority.crt" -CAkey "$state/authority.key" \
        -CAcreateserial -days 825 -extfile "$state/lead.ext" -out "$state/lead.crt" 2>/dev/null
}

token_of() {
    local file=$state/token-${1//\//-}
    [ -s "$file" ] || openssl rand -hex 32 >"$file"
    cat "$file"
}

# One line for each identity. A cluster's token writes that cluster's records and nothing else.
write_tokens() {
    local name
    {
        printf 'admin %s\nreader %s\n' "$(token_of admin)" "$(token_of reader)"
        for name in "${clusters[@]}"; do
            printf 'cluster/%s %s\n' "$name" "$(token_of "cluster/$name")"
        done
    } >"$state/tokens"
}

# ---------------------------------------------------------------------------------------------- lead and agents

lead_config() {
    cat <<YAML
name: lead-1
node: 1
data: /var/lib/qonnect
listen: 0.0.0.0:7480
repository: {url: "$repository", branch: main, tokenFile: /etc/qonnect-secrets/git-token}
tls: {certificate: /etc/qonnect-secrets/lead.crt, key: /etc/qonnect-secrets/lead.key}
tokens: /etc/qonnect-secrets/tokens
YAML
}

agent_config() {
    cat <<YAML
cluster: $1
data: /var/lib/qonnect
leads: ["https://$lead_host:$lead_port"]
authority: /etc/qonnect-secrets/authority.crt
tokenFile: /etc/qonnect-secrets/lead-token
repository: {url: "$repository", branch: qonnect/deploy, tokenFile: /etc/qonnect-secrets/git-token}
probes: 0.0.0.0:7481
YAML
}

install_lead() {
    say "installing the lead in $lead_cluster"
    kind load docker-image qonnect:local --name "$lead_cluster"
    on "$lead_cluster" create namespace qonnect-lead --dry-run=client --output=yaml \
        | on "$lead_cluster" apply --server-side --filename=- >/dev/null
    put "$lead_cluster" configmap qonnect-lead --namespace=qonnect-lead --from-file=lead.yaml=<(lead_config)
    put "$lead_cluster" secret generic qonnect-lead --namespace=qonnect-lead \
        --from-file="$state/lead.crt" --from-file="$state/lead.key" --from-file="$state/tokens" \
        --from-file=git-token="$token_file"
    on "$lead_cluster" apply --server-side --filename "$here/lead"
    on "$lead_cluster" --namespace=qonnect-lead rollout status statefulset/lead --timeout=180s
}

install_agent() {
    local name=$1
    say "installing the agent in $name"
    on "$name" apply --server-side --filename "$here/agent/rbac.yaml"
    put "$name" configmap qonnect-agent --namespace=qonnect-system --from-file=agent.yaml=<(agent_config "$name")
    put "$name" secret generic qonnect-agent --namespace=qonnect-system \
        --from-file="$state/authority.crt" --from-literal=lead-token="$(token_of "cluster/$name")" \
        --from-file=git-token="$token_file"
    on "$name" apply --server-side --filename "$here/agent/agent.yaml"
    on "$name" --namespace=qonnect-system rollout status deployment/agent --timeout=180s
}

# --------------------------------------------------------------------------------------------------------- main

# Only the owner may read what is secret.
umask 077
mkdir -p "$state"
build_images
for name in "${clusters[@]}"; do
    create_cluster "$name"
done
make_certificate
write_tokens
install_lead
for name in "${clusters[@]}"; do
    install_agent "$name"
done

say "ready; look at it with:"
cat <<TEXT
  kubectl --context kind-$lead_cluster --namespace qonnect-lead port-forward service/lead 7480 &
  qonnect get clusters --lead https://localhost:7480 \\
    --authority $state/authority.crt --token-file $state/token-reader
TEXT
