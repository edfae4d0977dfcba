#!/usr/bin/env bash
# Brings a Debian machine the tools one level of the build needs, and nothing it already has. Called by make
# before every build, so a run with nothing to do takes milliseconds and prints nothing.
#
#   src/toolchain.sh native    compiler, linker, sanitizers, SIMDe
#   src/toolchain.sh wasm      emcc: the Emscripten SDK on the PATH when it is new enough, else a private copy
#   src/toolchain.sh check     native and wasm, plus formatter and linter
#   src/toolchain.sh models    what fetching a model needs
#   src/toolchain.sh browsers  three engines to test in, and what drives and shows them
#   src/toolchain.sh pictures  browsers, and the fonts of the README's pictures
#   src/toolchain.sh training  compiler, and Python with room for the packages of models/train/requirements.txt
#   src/toolchain.sh goldens   compiler and PyTorch
#   src/toolchain.sh emcc      prints the emcc to use
#
# The private copy is Debian 13's emscripten and binaryen, unpacked into the user's cache: Debian 12's own are
# too old. It must never touch the system's apt sources, and it appears whole (by a rename) or not at all.
set -euo pipefail

llvm=19
emcc_least=3.1.69
suite=trixie
cache=${XDG_CACHE_HOME:-$HOME/.cache}/reprise
dir=$cache/toolchain-1

say() { echo "toolchain: $*" >&2; }
die() { say "$*"; exit 1; }

packages_missing() {
    local installed
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
    printf '%s\n' "$@" | grep -vxF "${installed:-none}" || true
}

# packages NAME... : installs those that are missing with the machine's own apt
packages() {
    local missing
    missing=$(packages_missing "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || die "please install these, by their Debian names: $missing"
    [ "$(id -u)" = 0 ] || die "as root, please run: apt-get install $missing"
    exec 9>"$cache/lock"
    flock 9 # apt does not wait for a second make
    say "installing $missing"
    local log=$cache/apt.log apt="apt-get -q -o DPkg::Lock::Timeout=600"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # $missing and $apt are lists of words
    { $apt update && $apt install -y --no-install-recommends $missing; } >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; die "apt-get failed, see $log"; }
    exec 9>&-
}

# The SDK on the PATH is used if it is new enough. Asking takes Python's start-up time, hence the remembered answer.
sdk_emcc() {
    local found version answer
    found=$(command -v emcc) || return 1
    answer=$cache/sdk-$(stat -Lc '%Y-%i' "$found")
    [ -f "$answer" ] || "$found" --version 2>/dev/null | sed -n '1s/.* \([0-9][0-9.]*\)\([ -].*\)*$/\1/p' >"$answer"
    version=$(cat "$answer")
    [ -n "$version" ] && [ "$(printf '%s\n' $emcc_least "$version" | sort -V | head -n 1)" = $emcc_least ] || return 1
    echo "$found"
}

emcc_path() { sdk_emcc || echo "$dir/emcc"; }

# apt_private OUT: a private apt state beside the system's, pointed at the same mirrors but at Debian 13
apt_private() {
    local out=$1 codename
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    mkdir -p "$out/etc" "$out/state/lists/partial" "$out/cache/archives/partial"
    apt-get indextargets --format '$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT)' |
        awk -v from="$codename" -v to=$suite '$1 == "Packages" && $3 == from && $4 == "main" {
            print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", $2, to, "main" }' |
        sort -u >"$out/etc/private.list"
    [ -s "$out/etc/private.list" ] || die "no Debian mirror in the apt sources; please put an Emscripten SDK on the PATH"
    apt=(apt-get -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$out/etc" -o "Dir::State=$out/state"
        -o "Dir::Cache=$out/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
}

# Nine tenths of the package are variants of its libraries (LTO, PIC, sanitized, traced), tests and documents.
trim() {
    local em=$1/usr/share/emscripten
    local lib=$em/cache/sysroot/lib/wasm32-emscripten
    rm -rf "$1/usr/share/doc" "$1/usr/share/man" "$1"/usr/lib/*/gconv "$em"/{test,docs,media} "$em"/ChangeLog.* \
        "$lib"/{lto,pic,lto-pic} "$lib"/lib{wasmfs,webgpu,sanitizer}* "$lib"/*{asan,lsan,ubsan,-tracing,-memvalidate}*
}

# Debian 13's binaries want a newer libc than the machine has: they get their own loader and libraries.
patch_binaries() {
    local root=$1 final=$2 lib program
    lib=$(cd "$root" && find usr/lib -name 'libstdc++.so.6' -printf '%h\n' | head -n 1)
    local loader
    loader=$(cd "$root/$lib" && echo ld-linux*.so.*)
    for program in "$root"/usr/bin/wasm*; do
        patchelf --set-interpreter "$final/$lib/$loader" --set-rpath "$final/$lib" "$program"
    done
}

unpack_emscripten() {
    local work apt
    [ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null ||
        die "no Debian here: please put an Emscripten SDK, $emcc_least or newer, on the PATH"
    exec 9>"$cache/lock"
    flock 9
    [ ! -x "$dir/emcc" ] || return 0 # another make was faster
    say "unpacking Emscripten into $dir"
    work=$(mktemp -d "$cache/unpacking.XXXXXX")
    # shellcheck disable=SC2064  # $work is local: expand it now
    trap "rm -rf '$work'" EXIT
    apt_private "$work/apt"
    {
        "${apt[@]}" update &&
            (cd "$work" && "${apt[@]}" download emscripten binaryen node-acorn libc6 libstdc++6 libgcc-s1)
    } >"$cache/apt.log" 2>&1 || { tail -n 20 "$cache/apt.log" >&2; die "could not fetch Emscripten, see $cache/apt.log"; }
    mkdir "$work/new"
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/new/root"
    done
    trim "$work/new/root"
    patch_binaries "$work/new/root" "$dir/root"
    mkdir "$work/new/root/usr/share/emscripten/node_modules" # linking runs acorn from there
    ln -s ../../nodejs/acorn "$work/new/root/usr/share/emscripten/node_modules/acorn"
    cat >"$work/new/config" <<END
import os, shutil
LLVM_ROOT = '$(dirname "$(readlink -f "$(command -v clang-$llvm)")")'
BINARYEN_ROOT = os.path.join(os.path.dirname(os.environ['EM_CONFIG']), 'root', 'usr')
NODE_JS = shutil.which('node')
FROZEN_CACHE = True
END
    cat >"$work/new/emcc" <<'END'
#!/bin/sh
here=$(dirname "$0")
EM_CONFIG=$here/config exec "$here/root/usr/share/emscripten/emcc" "$@"
END
    chmod +x "$work/new/emcc"
    mv "$work/new" "$dir"
    exec 9>&-
}

native() { packages clang-$llvm lld-$llvm llvm-$llvm libclang-rt-$llvm-dev libsimde-dev; }

wasm() {
    if sdk_emcc >/dev/null || [ -x "$dir/emcc" ]; then return 0; fi
    packages clang-$llvm lld-$llvm llvm-$llvm patchelf
    unpack_emscripten
}

# Tests of a browser that is not there are skipped and say so, hence no reason to stop here. On CI all must be there.
browsers() {
    local wanted=(chromium firefox-esr webkit2gtk-driver xvfb fonts-dejavu-core)
    if [ "${CI:-}" = true ]; then
        packages "${wanted[@]}"
    elif command -v dpkg-query >/dev/null; then
        (packages "${wanted[@]}") || say "tests of browsers that are missing will be skipped"
    fi
}

mkdir -p "$cache"
case ${1:-} in
    native) native ;;
    wasm) wasm ;;
    check) native && wasm && packages clang-format-$llvm clang-tidy-$llvm ;;
    models) packages python3-pip ;;
    browsers) browsers ;;
    pictures) browsers && packages fonts-inter fonts-urw-base35 ;;
    training) native && packages python3-venv ;;
    goldens) native && packages python3-torch libopenblas0-openmp ;; # PyPI's default build brings gigabytes of GPU libraries
    emcc) emcc_path ;;
    *) die "usage: src/toolchain.sh native|wasm|check|models|browsers|pictures|training|goldens|emcc" ;;
esac
