#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Nothing in the repository names a machine's own paths or the host of a package registry.
. "$(dirname "$0")/lib.sh"
# Written so that this file does not match itself.
patterns='(^|[^A-Za-z0-9_.-])/(work|tmp/b|root|home)/[A-Za-z0-9_.]|[a-z0-9.-]*(artifactor[y]|nexu[s]|mirro[r])[a-z0-9-]*\.[a-z]+(/|:[0-9])|https?://([a-z0-9.-]*\.)?(crates|pypi|npmjs|debia[n])\.(io|org)'
violations() { grep -nIE -- "$patterns" "$@" /dev/null || true; }
plant() {
    printf 'see /wor%s/main/dev\n' k >path.md
    printf 'curl https://static.crate%s.io/x\n' s >registry.sh
    printf 'mounts /sys/fs/bpf and /tmp; /workers/x, a/home/x\n' >good.md
    echo '^path.md:1:'
    echo '^registry.sh:1:'
}
check_main '*' ':!LICENSE*'
