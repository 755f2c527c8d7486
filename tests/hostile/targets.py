# SPDX-License-Identifier: Apache-2.0
"""The proxies that the corpus is sent to: ours, served from manifests, and as a cross-check others as they come, each
with one backend for all hosts. All of it inside the namespaces that run.py has made."""
import json
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

BACKEND_PORT, BACKEND_PORT_HTTP2 = 9000, 9001
REPOSITORY = Path(__file__).resolve().parents[2]
H2C = ", appProtocol: kubernetes.io/h2c"
GATEWAY_API = "gateway.networking.k8s.io/v1"


class Target:
    """A proxy: started, watched, ended."""
    name = ""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder / self.name
        self.folder.mkdir()
        self.address = address
        self.port_http2 = 8080
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environment()})
        deadline = time.monotonic() + 30
        while not self.accepts():
            if not self.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def accepts(self) -> bool:
        try:
            socket.create_connection((self.address, 8080), 1).close()
        except OSError:
            return False
        return True

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def peak_mib(self) -> int:
        """The most memory that it has held."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text() if self.is_alive() else ""
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(peak[1]) // 1024 if peak else 0

    def stop(self) -> int:
        """Its exit code; negative: the signal."""
        assert self.process is not None
        if self.is_alive():
            self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -9

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


class Sluice(Target):
    name = "sluice"

    def __init__(self, folder: Path, address: str, binary: str, io: str) -> None:
        super().__init__(folder, address)
        self._binary = binary
        self._io = io

    def environment(self) -> dict[str, str]:
        return {"ASAN_OPTIONS": "abort_on_error=0:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1"}

    def command(self) -> list[str]:
        (self.folder / "manifests").mkdir(exist_ok=True)
        self.write("manifests/all.yaml", manifests(self.address))
        return [self._binary, "run", "--manifests", str(self.folder / "manifests"), "--l4", "proxy", "--uplink", "lo",
                "--workers", "1", "--io", self._io, "--admin", self._admin(), "--log-level", "warn", "--drain-ms", "0"]

    def _admin(self) -> str:
        return f"unix:{self.folder}/admin.sock"

    def accepts(self) -> bool:
        return bool(self.status().get("ready")) and super().accepts()

    def status(self) -> dict[str, Any]:
        command = [self._binary, "status", "-o", "json", "--admin", self._admin()]
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              env={"ASAN_OPTIONS": "detect_leaks=0"})
        try:
            return dict(json.loads(done.stdout))
        except ValueError:
            return {}


def manifests(address: str) -> str:
    return f"""apiVersion: {GATEWAY_API}
kind: GatewayClass
metadata: {{name: sluice}}
spec: {{controllerName: sluice.dev/node-gateway}}
---
apiVersion: {GATEWAY_API}
kind: Gateway
metadata: {{name: edge}}
spec:
  gatewayClassName: sluice
  addresses: [{{type: IPAddress, value: {address}}}]
  listeners:
  - {{name: web, port: 8080, protocol: HTTP}}
---
apiVersion: {GATEWAY_API}
kind: HTTPRoute
metadata: {{name: all}}
spec:
  parentRefs: [{{name: edge}}]
  rules:
  - backendRefs: [{{name: recorder, port: 80}}]
---
apiVersion: {GATEWAY_API}
kind: HTTPRoute
metadata: {{name: http2}}
spec:
  parentRefs: [{{name: edge}}]
  hostnames: ["*.h2.test"]
  rules:
  - backendRefs: [{{name: recorder-http2, port: 80}}]
{service("recorder", BACKEND_PORT, "")}{service("recorder-http2", BACKEND_PORT_HTTP2, H2C)}"""


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
endpoints: [{{addresses: ["198.51.100.11"], conditions: {{ready: true}}}}]
"""


class HaProxy(Target):
    name = "haproxy"

    def command(self) -> list[str]:
        return ["haproxy", "-db", "-f", self.write("haproxy.cfg", f"""
global
    nbthread 1
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend web
    bind {self.address}:8080
    bind {self.address}:8082 proto h2
    default_backend recorder
backend recorder
    server one 198.51.100.11:{BACKEND_PORT}
""")]


class Nginx(Target):
    name = "nginx"

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder, address)
        self.port_http2 = 8082  # 1.22 does not tell prior knowledge from HTTP/1 on one port

    def command(self) -> list[str]:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        return ["nginx", "-p", str(self.folder), "-c", self.write("nginx.conf", f"""
daemon off;
user root;
worker_processes 1;
pid {self.folder}/pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {paths}
    upstream recorder {{ server 198.51.100.11:{BACKEND_PORT}; keepalive 64; }}
    server {{
        listen {self.address}:8080;
        listen {self.address}:8082 http2;
        location / {{
            proxy_pass http://recorder;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_request_buffering off;
        }}
    }}
}}
""")]


class Envoy(Target):
    name = "envoy"

    def command(self) -> list[str]:
        binary = next((REPOSITORY / "build/bench/venv/lib").glob("python*/site-packages/envoy/_bin/envoy"))
        return [str(binary), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c",
                self.write("envoy.json", json.dumps(self.config()))]

    def config(self) -> dict[str, Any]:
        kind = "type.googleapis.com/envoy.extensions.filters."
        manager = {
            "@type": kind + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "in",
            "codec_type": "AUTO", "normalize_path": True, "merge_slashes": True,
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": "recorder"}}]}]},
            "http_filters": [{"name": "router", "typed_config": {"@type": kind + "http.router.v3.Router"}}]}
        listener = {"address": socket_address(self.address, 8080), "filter_chains": [
            {"filters": [{"name": "http", "typed_config": manager}]}]}
        cluster = {"name": "recorder", "type": "STATIC", "connect_timeout": "5s", "load_assignment": {
            "cluster_name": "recorder", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": socket_address("198.51.100.11", BACKEND_PORT)}}]}]}}
        return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def socket_address(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


PEERS: dict[str, type[Target]] = {peer.name: peer for peer in (HaProxy, Nginx, Envoy)}
