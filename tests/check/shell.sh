#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every script parses, and shellcheck has no warning.
. "$(dirname "$0")/lib.sh"
violations() {
    local file
    for file; do
        bash -n "$file" 2>/dev/null || { echo "$file: does not parse"; continue; }
        shellcheck -S warning -x -P SCRIPTDIR -f gcc "$file" || true
    done
}
plant() {
    printf '#!/usr/bin/env bash\nif true; then\n' >unfinished.sh
    printf '#!/usr/bin/env bash\ncd "$1"\nunused=1\n' >unused.sh
    printf '#!/usr/bin/env bash\necho "$1"\n' >good.sh
    echo '^unfinished.sh: does not parse'
    echo '^unused.sh:2:.*SC2164'
    echo '^unused.sh:3:.*SC2034'
}
check_main '*.sh' dev .ci/run
