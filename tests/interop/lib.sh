# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154  # variables go to and come from the tests and harness/lib.sh
# What the tests with other people's clients share: where those tools are, certificates made at test time, and the
# manifests that carry them. Source it after harness/lib.sh.
tools=${SLUICE_TOOLS:-$repository/build/tools}

need_tools() { local tool; for tool; do [ -x "$tools/$tool" ] || skip "$tools/$tool is missing: ./dev setup"; done; }

# make_ca NAME: $tmp/NAME.crt and .key, a certificate authority.
make_ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
        -addext basicConstraints=critical,CA:true -keyout "$tmp/$1.key" -out "$tmp/$1.crt" 2>/dev/null
}
# make_certificate NAME CA HOST...: $tmp/NAME.crt and .key for those names, by that authority.
make_certificate() {
    local name=$1 ca=$2 host names=()
    shift 2
    for host; do names+=("DNS:$host"); done
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -addext "subjectAltName=$(IFS=,; echo "${names[*]}")" -keyout "$tmp/$name.key" -out "$tmp/$name.csr" 2>/dev/null
    openssl x509 -req -in "$tmp/$name.csr" -CA "$tmp/$ca.crt" -CAkey "$tmp/$ca.key" -days 2 -copy_extensions copy \
        -out "$tmp/$name.crt" 2>/dev/null
}

put_secret() {  # put_secret SECRET CERTIFICATE
    put "secret-$1" <<END
apiVersion: v1
kind: Secret
metadata: {name: $1, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: $(base64 -w0 "$tmp/$2.crt"), tls.key: $(base64 -w0 "$tmp/$2.key")}
END
}
put_ca_config_map() {  # put_ca_config_map NAME CA
    { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default}\ndata:\n  ca.crt: |\n' "$1"
      sed 's/^/    /' "$tmp/$2.crt"; } | put "configmap-$1"
}

# A listener that terminates TLS, a line to stand behind manifest_gateway: https_listener NAME PORT HOSTNAME SECRET
https_listener() {
    say "  - {name: $1, port: $2, protocol: HTTPS${3:+, hostname: \"$3\"}, tls: {certificateRefs: [{name: $4}]}}"
}

# serve_in POD NAME PORT COMMAND...: a server of the pod's own, by `background`; returns when its port is taken.
serve_in() {
    local pod=$1 name=$2 port=$3
    shift 3
    background "$name" "$pod" "$@"
    wait_until 10 "$name listens on $port of $pod" listens "$pod" "$port"
}
listens() { [ -n "$(in_ns "$1" ss -Hltn "sport = :$2")" ]; }
# manifest_port_service SERVICE POD PORT [APP_PROTOCOL]: one port "main" of one pod.
manifest_port_service() {
    cat <<END
apiVersion: v1
kind: Service
metadata: {name: $1, namespace: default}
spec:
  ports: [{name: main, port: $3, protocol: TCP${4:+, appProtocol: $4}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1-4, namespace: default, labels: {kubernetes.io/service-name: $1}}
addressType: IPv4
ports: [{name: main, port: $3, protocol: TCP}]
endpoints: [{addresses: ["$(backend4 "$2")"], conditions: {ready: true}}]
END
}
put_port_service() { manifest_port_service "$@" | put "service-$1"; }
