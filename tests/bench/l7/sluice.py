# SPDX-License-Identifier: Apache-2.0
"""Ours, configured as a user would: Gateway API manifests in a folder."""
import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from box import BACKEND, ECHO_PORT, GRPC_PORT, HOST, PLAIN_PORT, TLS_PORT, WEB_PORT, Box, base64_of, run
from peers import Peer

GATEWAY_API = "gateway.networking.k8s.io/v1"
RULES_PER_ROUTE = 16  # the most that the API takes in one HTTPRoute


class Sluice(Peer):
    name = "sluice"

    def __init__(self, box: Box, address: str, binary: str, io: str, name: str = "sluice", routes: int = 0) -> None:
        """routes: how many path prefixes /route-00000, /route-00001, … there are; 0: one rule that takes all."""
        self.name = name
        self._binary = binary
        self._io = io
        self._routes = routes
        super().__init__(box, address)

    def version(self) -> str:
        return run(self._binary, "--version").strip()

    def command(self) -> list[str]:
        manifests = self.folder / "manifests"
        manifests.mkdir(exist_ok=True)
        rules = list(path_rules(self._routes)) if self._routes else [self.default_rule()]
        (manifests / "gateway.yaml").write_text(gateway(self.address) + secret(self.box))
        (manifests / "backends.yaml").write_text(service("web", WEB_PORT, "") + service("echo", ECHO_PORT, H2C))
        (manifests / "routes.yaml").write_text("".join(http_routes(rules)) + GRPC_ROUTE)
        return [self._binary, "run", "--manifests", str(manifests), "--l4", "proxy", "--uplink", "lo", "--workers", "1",
                "--io", self._io, "--admin", self.admin(), "--log-level", "warn", "--drain-ms", "0"]

    def default_rule(self) -> str:
        return rule("/")

    def admin(self) -> str:
        return f"unix:{self.folder}/admin.sock"

    def start(self) -> None:
        super().start()
        deadline = time.monotonic() + 60
        while not self.status().get("ready"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} is not ready after 60 s")
            time.sleep(0.05)

    def status(self) -> dict[str, Any]:
        command = [self._binary, "status", "-o", "json", "--admin", self.admin()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def why_not(self, port: int) -> str:
        """The reason that the Gateway's status gives for the listener, or that of an object that was not taken."""
        command = [self._binary, "status", "--admin", self.admin()]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        listener = {PLAIN_PORT: "plain", GRPC_PORT: "grpc", TLS_PORT: "tls"}[port]
        for number, line in enumerate(lines):
            if line.strip().startswith(f"listener {listener}:"):
                for condition in lines[number + 1:number + 5]:
                    if "Accepted=False" in condition or "Programmed=False" in condition:
                        return condition.strip()
        return next((line.strip() for line in lines if "GRPCRoute" in line and port == GRPC_PORT), "")


def gateway(address: str) -> str:
    return f"""apiVersion: {GATEWAY_API}
kind: GatewayClass
metadata: {{name: sluice}}
spec: {{controllerName: sluice.dev/node-gateway}}
---
apiVersion: {GATEWAY_API}
kind: Gateway
metadata: {{name: bench}}
spec:
  gatewayClassName: sluice
  addresses: [{{type: IPAddress, value: {address}}}]
  listeners:
  - {{name: plain, port: {PLAIN_PORT}, protocol: HTTP}}
  - {{name: grpc, port: {GRPC_PORT}, protocol: HTTP}}
  - {{name: tls, port: {TLS_PORT}, protocol: HTTPS, tls: {{mode: Terminate, certificateRefs: [{{name: bench}}]}}}}
"""


def secret(box: Box) -> str:
    return f"""---
apiVersion: v1
kind: Secret
metadata: {{name: bench}}
type: kubernetes.io/tls
data:
  tls.crt: {base64_of(box.certificate)}
  tls.key: {base64_of(box.key)}
"""


H2C = ", appProtocol: kubernetes.io/h2c"


def service(name: str, port: int, protocol: str) -> str:
    return f"""---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{name: main, port: 80, protocol: TCP{protocol}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: main, port: {port}, protocol: TCP{protocol}}}]
endpoints: [{{addresses: ["{BACKEND}"], conditions: {{ready: true}}}}]
"""


def rule(prefix: str) -> str:
    return f"""  - matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]
    backendRefs: [{{name: web, port: 80}}]
"""


def route_path(number: int) -> str:
    return f"/route-{number:05}"


def path_rules(count: int) -> Iterator[str]:
    return (rule(route_path(number)) for number in range(count))


def http_routes(rules: list[str]) -> Iterator[str]:
    for first in range(0, len(rules), RULES_PER_ROUTE):
        yield f"""---
apiVersion: {GATEWAY_API}
kind: HTTPRoute
metadata: {{name: web-{first:05}}}
spec:
  parentRefs: [{{name: bench, sectionName: plain}}, {{name: bench, sectionName: tls}}]
  hostnames: ["{HOST}"]
  rules:
{"".join(rules[first:first + RULES_PER_ROUTE])}"""


GRPC_ROUTE = f"""---
apiVersion: {GATEWAY_API}
kind: GRPCRoute
metadata: {{name: echo}}
spec:
  parentRefs: [{{name: bench, sectionName: grpc}}]
  rules:
  - backendRefs: [{{name: echo, port: 80}}]
"""
