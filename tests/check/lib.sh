# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the checks share. A check defines `violations FILE...` (prints one line each; paths are relative to the working directory) and
# `plant`, which writes files that it must object to, and files that it must accept, into the working directory, and
# prints what must be found: one regular expression a line. `check_main` first proves the check by its plants, then
# runs it over the tree.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# tree_files PATTERN...: tracked files and new ones that are not ignored, without vendored code.
tree_files() {
    if git -C "$repository" rev-parse --git-dir >/dev/null 2>&1; then
        (cd "$repository" && git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ ! -e "$file" ] || echo "$file"; done)
    else
        echo "not a git work tree" >&2
        return 1
    fi
}

check_main() {  # check_main PATTERN...: which files of the tree are judged
    local scratch found expected
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/check.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$scratch'" EXIT
    cd "$scratch"
    expected=$(plant)
    mapfile -t files < <(find . -type f -printf '%P\n' | sort)
    found=$(violations "${files[@]}" 2>&1) || true
    while read -r line; do
        grep -Eq -- "$line" <<<"$found" || { echo "self-test: a planted violation was not found: $line"; echo "found: $found"; exit 1; }
    done <<<"$expected"
    if [ "$(grep -c . <<<"$found")" != "$(grep -c . <<<"$expected")" ]; then
        printf 'self-test: found more or less than was planted:\n%s\n' "$found"
        exit 1
    fi
    cd "$repository"
    mapfile -t files < <(tree_files "$@")
    [ ${#files[@]} -gt 0 ] || { echo "no file to check"; exit 1; }
    found=$(violations "${files[@]}")
    [ -z "$found" ] || { printf '%s\n' "$found"; exit 1; }
    echo "${#files[@]} files"
}
