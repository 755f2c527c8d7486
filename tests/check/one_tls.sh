#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The process has one TLS library, linked in. A shared OpenSSL beside it, brought by whatever library, would share its
# symbols' names.
set -euo pipefail
program=$1

# tls_libraries PROGRAM: the shared TLS libraries that it loads.
tls_libraries() { ldd "$1" | grep -oE '^[[:space:]]*lib(ssl|crypto|gnutls|mbedtls)[^ ]*' || true; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/one_tls.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
# The check sees a planted one: a library by that name which a program is linked with.
echo 'int planted(void) { return 0; }' | cc -shared -x c -o "$scratch/libssl.so.3" -Wl,-soname,libssl.so.3 -
echo 'int planted(void); int main(void) { return planted(); }' | cc -x c -o "$scratch/program" - -x none "$scratch/libssl.so.3"
[ -n "$(tls_libraries "$scratch/program")" ] || { echo "self-test: a planted TLS library was not found"; exit 1; }

[ -x "$program" ] || { echo "$program is not built"; exit 77; }
found=$(tls_libraries "$program")
[ -z "$found" ] || { printf '%s loads another TLS library:\n%s\n' "$program" "$found"; exit 1; }
