# SPDX-License-Identifier: Apache-2.0
"""The proxies that sluice is compared with, each with one worker, no log, no limit on what a connection may carry."""
import json
from pathlib import Path
from typing import Any

from box import BACKEND, ECHO_PORT, GRPC_PORT, PLAIN_PORT, TLS_PORT, WEB_PORT, Box, add_address, build, run
from processes import Process

ENVOY_WHEEL = Path(__file__).resolve().parents[3] / "build/bench/venv/lib"


class Peer:
    """A proxy at an address of its own: PLAIN_PORT and TLS_PORT lead to the files, GRPC_PORT to the gRPC backend."""

    name = ""

    def __init__(self, box: Box, address: str) -> None:
        self.box = box
        self.address = address
        self.folder = box.folder / f"{self.name}-{address}"
        self.process: Process | None = None
        self.folder.mkdir()
        add_address(address)

    def start(self) -> None:
        self.process = Process(self.name, self.command(), self.box.proxy_cpu, self.folder / "log")
        self.process.wait_for(self.address, PLAIN_PORT)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def running(self) -> Process:
        if self.process is None:
            self.start()
        assert self.process is not None
        return self.process

    def command(self) -> list[str]:
        """Writes the configuration; returns what runs it in the foreground."""
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def why_not(self, port: int) -> str:
        """The proxy's own reason for serving nothing on a port; empty when it has none."""
        del port
        return ""

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


class HaProxy(Peer):
    name = "haproxy"

    def version(self) -> str:
        return run("haproxy", "-v").split(" - ")[0]

    def command(self) -> list[str]:
        return ["haproxy", "-db", "-f", self.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 9000
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
    mode http
    backlog 4096
    http-reuse always
    timeout connect 5s
    timeout client 3600s
    timeout server 3600s
    timeout http-keep-alive 3600s
frontend web
    bind {self.address}:{PLAIN_PORT}
    bind {self.address}:{TLS_PORT} ssl crt {self.box.folder}/tls.pem alpn h2,http/1.1
    default_backend web
frontend grpc
    bind {self.address}:{GRPC_PORT} proto h2
    default_backend echo
backend web
    server one {BACKEND}:{WEB_PORT}
backend echo
    server one {BACKEND}:{ECHO_PORT} proto h2
""")]


class Nginx(Peer):
    name = "nginx"

    def version(self) -> str:
        return run("nginx", "-v").strip()

    def command(self) -> list[str]:
        lasting = "keepalive_requests 1000000000; keepalive_timeout 3600s;"
        proxy = f"""
    upstream web {{ server {BACKEND}:{WEB_PORT}; keepalive 256; {lasting} }}
    upstream echo {{ server {BACKEND}:{ECHO_PORT}; keepalive 256; {lasting} }}
    ssl_certificate {self.box.certificate};
    ssl_certificate_key {self.box.key};
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    server {{
        listen {self.address}:{PLAIN_PORT} backlog=4096;
        listen {self.address}:{TLS_PORT} ssl http2 backlog=4096;
        location / {{
            proxy_pass http://web;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_buffers 16 16k;
            proxy_max_temp_file_size 0;
        }}
    }}
    server {{
        listen {self.address}:{GRPC_PORT} http2 backlog=4096;
        location / {{ grpc_pass grpc://echo; }}
    }}"""
        return ["nginx", "-p", str(self.folder), "-c", self.write("nginx.conf", nginx_config(self.folder, proxy))]


def nginx_config(folder: Path, http: str) -> str:
    """What the proxy and the backend have in common: one worker, no log, connections that never end by themselves."""
    paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                     ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    {paths}
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
{http}
}}
"""


class Envoy(Peer):
    name = "envoy"

    def version(self) -> str:
        return run(self.binary(), "--version").rpartition("version: ")[2].strip()

    def command(self) -> list[str]:
        return [self.binary(), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c",
                self.write("envoy.json", json.dumps(self.config(), indent=1))]

    @staticmethod
    def binary() -> str:
        return str(next(ENVOY_WHEEL.glob("python*/site-packages/envoy/_bin/envoy")))

    def config(self) -> dict[str, Any]:
        return {"static_resources": {
            "listeners": [self.listener(PLAIN_PORT, "web", "HTTP1"), self.listener(GRPC_PORT, "echo", "HTTP2"),
                          self.listener(TLS_PORT, "web", "AUTO", tls=True)],
            "clusters": [cluster("web", WEB_PORT, {}), cluster("echo", ECHO_PORT, {"http2_protocol_options": {}})]}}

    def listener(self, port: int, cluster_name: str, codec: str, tls: bool = False) -> dict[str, Any]:
        manager = {
            "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "in", "codec_type": codec, "generate_request_id": False,
            "server_header_transformation": "PASS_THROUGH",
            "common_http_protocol_options": {"idle_timeout": "3600s"},
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": cluster_name, "timeout": "0s"}}]}]},
            "http_filters": [{"name": "router", "typed_config": {
                "@type": TYPE + "filters.http.router.v3.Router", "dynamic_stats": False,
                "suppress_envoy_headers": True}}]}
        chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
        if tls:
            chain["transport_socket"] = {"name": "tls", "typed_config": {
                "@type": TYPE + "transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
                    "tls_certificates": [{"certificate_chain": {"filename": str(self.box.certificate)},
                                          "private_key": {"filename": str(self.box.key)}}]}}}
        return {"address": socket_address(self.address, port), "tcp_backlog_size": 4096, "filter_chains": [chain]}


class Relay(Peer):
    """No proxy: bytes from one socket to the other, which is what the kernel alone costs here (relay.cc)."""

    name = "relay"

    def version(self) -> str:
        return "reads no byte that it forwards"

    def command(self) -> list[str]:
        return [build(self.box, "relay"), self.address, str(PLAIN_PORT), BACKEND, str(WEB_PORT)]


TYPE = "type.googleapis.com/envoy.extensions."


def socket_address(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


def cluster(name: str, port: int, http: dict[str, Any]) -> dict[str, Any]:
    unlimited = {key: 1_000_000 for key in ("max_connections", "max_pending_requests", "max_requests", "max_retries")}
    options = {"@type": TYPE + "upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": http or {
        "http_protocol_options": {}}, "common_http_protocol_options": {"idle_timeout": "3600s"}}
    return {"name": name, "type": "STATIC", "connect_timeout": "5s", "circuit_breakers": {"thresholds": [unlimited]},
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": socket_address(BACKEND, port)}}]}]}}
