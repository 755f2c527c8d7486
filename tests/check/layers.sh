#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A layer includes only from itself and from the layers it may know; C libraries stay behind their folder; nothing
# includes tests.
. "$(dirname "$0")/lib.sh"

# layer: folders it may include from. A file belongs to the longest folder that it lies in.
declare -A allowed=(
    [base]="base"
    [maps]="maps base"
    [bpf]="bpf maps/abi.h"
    [loader]="loader maps base"
    [agent/model]="agent/model base"
    [agent/source]="agent/source agent/model base"
    [agent/plan]="agent/plan agent/model base maps/abi.h"
    [agent/apply]="agent/apply agent/plan agent/model maps loader base"
    [agent/proxy]="agent/proxy agent/plan agent/model base"
    [agent/admin]="agent/admin agent/plan agent/source agent/model base"
    [agent/control]="agent base maps loader"
    [agent/main.cc]="agent base maps loader"
    [tests]="tests agent loader maps base bpf"
)
# header pattern: the layers that may include it.
confined=(
    '^(bpf/|libbpf)' 'maps loader bpf tests/bpf tests/bench'
    '^(netlink/|libnl)' 'loader'
    '^liburing' 'agent/proxy'
    '^nghttp2/' 'agent/proxy tests/harness tests/unit/proxy'
    '^openssl/' 'agent/proxy tests/harness tests/unit/proxy'
    '^boost/(asio|beast)' 'agent/admin'
    '^yaml-cpp/' 'agent/source'
    '^nlohmann/' 'agent/admin agent/source/kube tests/unit/admin tests/unit/source'
    '^curl/' 'agent/source/kube'
    '^CLI/' 'agent/main.cc'
    '^sluice\.skel\.h' 'loader'
)

layer_of() {
    local path=$1
    while [ "$path" != . ]; do
        [ -z "${allowed[$path]:-}" ] || { echo "$path"; return; }
        path=$(dirname "$path")
    done
}
within() {  # within PATH FOLDER_OR_FILE...
    local path=$1 folder
    shift
    for folder; do [[ $path == "$folder" || $path == "$folder"/* ]] && return; done
    return 1
}
violations() {
    local file layer line header i
    for file; do
        layer=$(layer_of "$file")
        [ -n "$layer" ] || { echo "$file: belongs to no layer"; continue; }
        while read -r line header; do
            # Quoted paths from the root; bpf/ in angle brackets is libbpf's own folder.
            if [[ $header == \"* ]]; then
                header=${header//\"/}
                # shellcheck disable=SC2086
                if [[ $header == */* ]] && ! within "$header" ${allowed[$layer]}; then echo "$file:$line: $layer must not include $header"; fi
                [[ $header == */* ]] && continue
            fi
            header=${header//[<>]/}
            for ((i = 0; i < ${#confined[@]}; i += 2)); do
                # shellcheck disable=SC2086
                [[ ! $header =~ ${confined[i]} ]] || within "$file" ${confined[i + 1]} || echo "$file:$line: only ${confined[i + 1]} may include $header"
            done
        done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$file" | sed -E 's/^([0-9]+):[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]*[>"]).*/\1 \2/')
    done
}
plant() {
    mkdir -p agent/source agent/proxy agent/plan bpf loader base elsewhere
    printf '#include "agent/proxy/router.h"\n#include "base/result.h"\n' >agent/source/a.cc
    printf '#include "agent/source/files.h"\n#include <liburing.h>\n' >agent/proxy/a.cc
    printf '#include <bpf/libbpf.h>\n#include <vector>\n' >agent/plan/a.cc
    printf '#  include "base/result.h"\n#include "maps/abi.h"\n#include <bpf/bpf_helpers.h>\n' >bpf/a.h
    printf '#include "tests/harness/sockets.h"\n#include <netlink/netlink.h>\n' >loader/a.cc
    printf '#include <liburing.h>\n' >base/a.cc
    printf 'int a;\n' >elsewhere/a.cc
    echo '^agent/source/a.cc:1: agent/source must not include agent/proxy/router.h'
    echo '^agent/proxy/a.cc:1: agent/proxy must not include agent/source/files.h'
    echo '^agent/plan/a.cc:1: only .* may include bpf/libbpf.h'
    echo '^bpf/a.h:1: bpf must not include base/result.h'
    echo '^loader/a.cc:1: loader must not include tests/harness/sockets.h'
    echo '^base/a.cc:1: only agent/proxy may include liburing.h'
    echo '^elsewhere/a.cc: belongs to no layer'
}
check_main '*.cc' '*.h' '*.c'
