#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C and C++ file is formatted as .clang-format says.
. "$(dirname "$0")/lib.sh"
violations() {
    local file
    for file; do
        clang-format-19 --style="file:$repository/.clang-format" --dry-run -Werror "$file" >/dev/null 2>&1 || echo "$file: not formatted: run ./dev fmt"
    done
}
plant() {
    printf 'int  main( ){return 0;}\n' >bad.cc
    printf 'int main() { return 0; }\n' >good.cc
    echo '^bad.cc: not formatted'
}
check_main '*.cc' '*.h' '*.c'
