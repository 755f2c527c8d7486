#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No function over 70 lines, no file over 800. Relies on the formatter: a function's body is between { and } in one
# column.
. "$(dirname "$0")/lib.sh"
violations() {
    awk '
        FNR == 1 { if (lines > 800) print last ": " lines " lines, 800 at most"; last = FILENAME; inside = 0 }
        { lines = FNR }
        # With braces of functions on their own line, only functions (and not types or namespaces) open so.
        !inside && /^ *\{$/ { match($0, /^ */); inside = RLENGTH + 1; start = FNR; next }
        inside && /^ *\}[;,)]*$/ {
            match($0, /^ */)
            if (RLENGTH + 1 == inside) {
                if (FNR - start - 1 > 70) print FILENAME ":" start ": a function of " FNR - start - 1 " lines, 70 at most"
                inside = 0
            }
        }
        END { if (lines > 800) print last ": " lines " lines, 800 at most" }' "$@"
}
plant() {
    local body
    body=$(for ((i = 0; i < 71; ++i)); do echo "    call();"; done)
    printf 'int long_one()\n{\n%s\n}\n' "$body" >bad.cc
    printf 'class A {\n    int method()\n    {\n%s\n    }\n};\n' "$body" >method.cc
    printf 'int fine()\n{\n%s\n}\nstruct S {\n%s\n};\n' "$(head -n 70 <<<"$body")" "$body" >good.cc
    for ((i = 0; i < 801; ++i)); do echo "int a$i;"; done >long.cc
    echo '^bad.cc:2: a function of 71 lines'
    echo '^method.cc:3: a function of 71 lines'
    echo '^long.cc: 801 lines'
}
check_main 'agent/*' 'base/*' 'bpf/*' 'loader/*' 'maps/*' 'tests/*.cc' 'tests/*.h'
