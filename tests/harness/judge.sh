# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034  # the variables are for those who source it
# What tests in bash judge by, whatever they test: failing, waiting, traffic in the background, and claims about JSON.
pids=() tmp=''

say() { printf '%s\n' "$*"; }
fail() {
    trap - ERR
    printf 'FAILED: %s\n' "$*" >&2
    [ -z "$tmp" ] || { [ ! -e "$tmp/sluice.log" ] || tail -n 30 "$tmp/sluice.log" >&2; }
    exit 1
}
skip() { say "SKIPPED: $*"; exit 77; }

# wait_until SECONDS WHAT COMMAND...: polls until the command succeeds.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt "$deadline" ] || fail "waited in vain: $what"
        sleep 0.05
    done
}

# spawn NAME COMMAND...: in the background; its pid in $background_pid, its output in $tmp/NAME.out. End it with finish.
spawn() {
    local name=$1
    shift
    "$@" >"$tmp/$name.out" 2>"$tmp/$name.err" &
    background_pid=$!
    pids+=("$background_pid")
}
# has_ended PID: gone, or a zombie that nobody has waited for. For subshells too, which cannot wait for it.
has_ended() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
# finish PID NAME: SIGTERM, wait, print what it wrote. The test goes on whatever the exit code was.
finish() {
    kill -TERM "$1" 2>/dev/null || true
    wait_until 30 "$2 ends" has_ended "$1"
    cat "$tmp/$2.out"
}
end_spawned() {
    local pid
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}

# expect JSON JQ_EXPRESSION WHAT: no JSON at all is no JSON that holds.
expect() { jq -es "length == 1 and (.[0] | ($2))" <<<"$1" >/dev/null || fail "$3: wanted $2, got $1"; }
# expect_share JSON NAME PERCENT TOLERANCE: of all that was answered.
expect_share() {
    expect "$1" "((.names[\"$2\"] // 0) * 100 / ([.names[]] | add)) as \$p | \$p >= $3 - $4 and \$p <= $3 + $4" "share of $2"
}
