#!/usr/bin/env bash
# Puts onto this machine what the integration and e2e tests need: a few Debian packages and the programs of a
# Kubernetes control plane. Run it as often as you like; what is there is left alone.
#
#   tests/control-plane/install.sh              install what is missing
#   tests/control-plane/install.sh --check      only say what is missing; status 1 if anything is
#
# The control plane lies in ${QONNECT_CACHE:-${XDG_CACHE_HOME:-~/.cache}/qonnect}/kubernetes-VERSION, where the
# tests look after KUBEBUILDER_ASSETS. It is built from Debian's source package, some ten minutes once, or, with
#   QONNECT_KUBERNETES_URL=...                  an archive for this platform
#   QONNECT_KUBERNETES_SHA512=...               (optional)
# taken from a published archive: one of Kubernetes' server archives, or one of envtest's, which has only the API
# server and etcd and so does for the integration tests, but not for e2e.
set -euo pipefail

cache=${QONNECT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qonnect}
url=${QONNECT_KUBERNETES_URL:-}
programs=(kube-apiserver kube-controller-manager kube-scheduler)
steps_log=$cache/install.log
# Debian's package of a library that the source of Kubernetes brings in an older version; see build.
reflect2=/usr/share/gocode/src/github.com/modern-go/reflect2

# What is taken away again at the end, however that comes.
work='' policy=''
clean_up() {
    [ -z "$policy" ] || rm -f "$policy"
    # Go leaves folders that nobody may write to.
    [ -z "$work" ] || { chmod -R u+w "$work"; rm -rf "$work"; }
}
trap clean_up EXIT

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Shows the end of what a quiet step wrote, if it fails.
quietly() {
    if ! "$@" >>"$steps_log" 2>&1; then
        tail -n 30 "$steps_log" >&2
        die "\`$1\` failed; all of its output is in $steps_log"
    fi
}

# ---------------------------------------------------------------------------------------------- Debian packages

# What each package is needed for, as a test that finds it.
has() {
    case $1 in
    etcd-server) command -v etcd ;;
    iproute2) command -v ip ;;
    git) [ -x "$(git --exec-path)/git-http-backend" ] && [ -x "$(git --exec-path)/git-daemon" ] ;;
    lighttpd) [ -x /usr/sbin/lighttpd ] ;;
    lighttpd-mod-openssl) [ -e /usr/lib/lighttpd/mod_openssl.so ] ;;
    openssh-client) command -v ssh-keygen ;;
    openssh-server) [ -x /usr/sbin/sshd ] ;;
    shellcheck) command -v shellcheck ;;
    util-linux) command -v setpriv ;;
    python3-venv) python3 -c 'import ensurepip, venv' ;;
    npm) command -v npm ;;
    prometheus) command -v promtool ;;
    curl) command -v curl ;;
    xz-utils) command -v xz ;;
    dpkg-dev) command -v dpkg-source ;;
    golang-github-modern-go-reflect2-dev) [ -d "$reflect2" ] ;;
    golang-1.19-go) [ -x /usr/lib/go-1.19/bin/go ] ;;
    jq | make | rsync) command -v "$1" ;;
    *) die "no test for package $1" ;;
    esac >/dev/null 2>&1
}

missing_of() {
    local package
    for package in "$@"; do
        has "$package" || printf '%s\n' "$package"
    done
}

# A package must not leave a service behind: the tests start what they need on ports of their own.
forbid_services() {
    [ -e /usr/sbin/policy-rc.d ] && return
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_of "$@")
    [ ${#missing[@]} -eq 0 ] && return
    [ "$(id -u)" -eq 0 ] || die "missing: ${missing[*]}; as root: apt-get install ${missing[*]}"
    command -v apt-get >/dev/null || die "missing: ${missing[*]}; this script installs Debian packages only"
    say "installing ${missing[*]}"
    forbid_services
    # A list of the machine that cannot be reached is not ours to mend: only the install decides.
    apt-get update >>"$steps_log" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive quietly apt-get install --yes --no-install-recommends "${missing[@]}"
}

# ------------------------------------------------------------------------------------------------ control plane

# The folder of a control plane that is there and runs; nothing if there is none that will do.
installed() {
    local folder
    for folder in ${KUBEBUILDER_ASSETS:+"$KUBEBUILDER_ASSETS"} "$cache"/kubernetes-*/; do
        folder=${folder%/}
        if [ -z "$url" ]; then
            runs "$folder" "${programs[@]}" || continue
            serves_custom_resources "$folder" || continue
        else
            [ "$(cat "$folder/source" 2>/dev/null)" = "$url" ] || continue
            runs "$folder" kube-apiserver || continue
        fi
        printf '%s\n' "$folder"
        return
    done
}

runs() {
    local folder=$1 program
    shift
    for program in "$@"; do
        "$folder/$program" --version >/dev/null 2>&1 || return 1
    done
}

# An API server of before 1.23 that was built with a newer Go than its time had dies at the first custom resource,
# unless its reflect2 knows that Go: the name of the file that does stands in the program.
serves_custom_resources() {
    local minor
    minor=$("$1/kube-apiserver" --version | sed -n 's/^Kubernetes v1\.\([0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge 23 ] || grep --quiet --text reflect2/go_above_118.go "$1/kube-apiserver"
}

# Moves what lies in a folder into the cache, in one step: a control plane is there completely or not at all.
adopt() {
    local from=$1 source=$2 version target
    version=$("$from/kube-apiserver" --version | sed -n 's/^Kubernetes v//p')
    [ -n "$version" ] || die "the kube-apiserver from $source does not say its version"
    target=$cache/kubernetes-$version
    printf '%s\n' "$source" >"$from/source"
    rm -rf "$target"
    mv "$from" "$target"
    say "Kubernetes $version is in $target"
}

download() {
    local work=$1
    say "downloading $url"
    quietly curl --fail --location --silent --show-error --output "$work/archive" "$url"
    if [ -n "${QONNECT_KUBERNETES_SHA512:-}" ]; then
        printf '%s  %s\n' "$QONNECT_KUBERNETES_SHA512" "$work/archive" | quietly sha512sum --check
    fi
    mkdir "$work/unpacked" "$work/plane"
    quietly tar --extract --file "$work/archive" --directory "$work/unpacked"
    find "$work/unpacked" -type f \( -name 'kube-apiserver' -o -name 'kube-controller-manager' \
        -o -name 'kube-scheduler' -o -name etcd \) -exec mv {} "$work/plane/" \;
    runs "$work/plane" kube-apiserver || die "no kube-apiserver that runs here in $url"
    adopt "$work/plane" "$url"
}

# apt checks the signature of the release and, through it, the checksum of every file of the source package. The
# list and its state are private, so that the machine's own stay as they are.
fetch_source() {
    local work=$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror options
    # Sources lie where the machine's own packages come from.
    # shellcheck disable=SC2016 # apt expands it.
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' | sed -n 1p)
    [ -n "$mirror" ] || die "apt knows no archive of Debian bookworm; run apt-get update, or set KUBEBUILDER_ASSETS"
    printf 'deb-src [signed-by=%s] %s bookworm main\n' "$keys" "$mirror" >"$work/sources.list"
    mkdir -p "$work/lists/partial"
    options=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$work/lists" -o APT::Sandbox::User=)
    say "fetching the source package kubernetes"
    cd "$work"
    quietly apt-get "${options[@]}" update
    quietly apt-get "${options[@]}" source --download-only kubernetes
    quietly dpkg-source --no-check --extract ./*.dsc "$work/tree"
    cd - >/dev/null
}

build() {
    local work=$1 tree=$1/tree
    fetch_source "$work"
    # What the tree brings reads maps as Go before 1.18 laid them out.
    rm -rf "$tree/vendor/github.com/modern-go/reflect2"
    cp -R "$reflect2" "$tree/vendor/github.com/modern-go/"
    rm -f "$tree"/vendor/github.com/modern-go/reflect2/*_test.go
    # The build of that age wants its tree below GOPATH.
    mkdir -p "$tree/.go/src/k8s.io" "$work/home" "$work/plane"
    ln -s ../../.. "$tree/.go/src/k8s.io/kubernetes"
    say "building ${programs[*]}: some ten minutes on two cores; $steps_log grows meanwhile"
    quietly env PATH="/usr/lib/go-1.19/bin:$PATH" HOME="$work/home" GOPATH="$tree/.go" GO111MODULE=off \
        GOFLAGS= CGO_ENABLED=0 GOLDFLAGS='-s -w' \
        make -C "$tree/.go/src/k8s.io/kubernetes" WHAT="${programs[*]/#/cmd/}"
    cp "${programs[@]/#/$tree/_output/bin/}" "$work/plane/"
    runs "$work/plane" "${programs[@]}" || die "what was built does not run; see $steps_log"
    adopt "$work/plane" "Debian bookworm source package kubernetes"
}

# --------------------------------------------------------------------------------------------------------- main

needed=(curl etcd-server git iproute2 jq lighttpd lighttpd-mod-openssl npm openssh-client openssh-server prometheus python3-venv shellcheck util-linux)

if [ "${1:-}" = --check ]; then
    mapfile -t missing < <(missing_of "${needed[@]}")
    [ -n "$(installed)" ] || missing+=("a Kubernetes control plane")
    [ ${#missing[@]} -eq 0 ] && exit 0
    printf 'missing: %s\n' "${missing[@]}"
    exit 1
fi

mkdir -p "$cache"
: >"$steps_log"
install_packages "${needed[@]}"
plane=$(installed)
if [ -n "$plane" ]; then
    say "the control plane is there: $plane"
    exit 0
fi

work=$(mktemp -d "$cache/build.XXXXXX")
if [ -n "$url" ]; then
    install_packages xz-utils
    download "$work"
else
    install_packages dpkg-dev golang-1.19-go golang-github-modern-go-reflect2-dev make rsync xz-utils
    build "$work"
fi
