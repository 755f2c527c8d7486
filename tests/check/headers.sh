#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# headers.sh COMPILE_COMMANDS: every header compiles alone. The include directories are those that the build uses. One that its
# source includes before all others has shown it in the build.
commands=$1
. "$(dirname "$0")/lib.sh"
mapfile -t includes < <(jq -r '.[] | select(.file | endswith("/agent/main.cc") or contains("/maps/") or contains("/agent/proxy/") or contains("/loader/")) | .command' "$commands" |
    grep -oE -- '(-I|-isystem) ?[^ ]+' | sed 's/^-isystem */-isystem\n/' | awk '/^-isystem$/ {getline path; line = "-isystem" path} !/^-isystem$/ {line = $0} !seen[line]++ {print line}')
is_first_of_its_source() {
    local source=${1%.h}.cc
    [ -e "$source" ] && [ "$(grep -m1 '^#include' "$source")" = "#include \"$1\"" ]
}
violations() {
    local file
    for file; do
        # The kernel programs' headers are C for the BPF machine: their build is their check.
        case $file in bpf/*) continue ;; esac
        ! is_first_of_its_source "$file" || continue
        printf '%s\0' "$file"
    done | xargs -0 -P "$(nproc)" -I{} sh -c 'file=$1; shift; g++ -std=c++23 -fsyntax-only -x c++ -I. "$@" "$file" >/dev/null 2>&1 || echo "$file: does not compile alone"' sh {} "${includes[@]}"
}
plant() {
    printf '#pragma once\nstd::string name();\n' >bad.h
    printf '#pragma once\n#include <string>\nstd::string name();\n' >good.h
    echo '^bad.h: does not compile alone'
}
check_main '*.h'
