# SPDX-License-Identifier: Apache-2.0
"""The place of the benchmark: addresses, ports, certificates and bodies, in private namespaces that `run` has made."""
import base64
import os
import random
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

HOST = "bench.example.com"
BACKEND = "198.51.100.11"
WEB_PORT, ECHO_PORT = 9000, 9001  # HTTP/1 files; gRPC over cleartext HTTP/2
PLAIN_PORT, GRPC_PORT, TLS_PORT = 8080, 8081, 8443  # the same on every proxy
SMALL, LARGE, CALL = "/128", "/65536", "/bench.Echo/Call.grpc"
UPLOAD = "/upload"  # the backend waits for all of the body
DESCRIPTORS = 20_000


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


@dataclass(frozen=True)
class Box:
    folder: Path
    proxy_cpu: int
    load_cpu: int

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        return self.folder / "tls.key"

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def body(self, path: str) -> Path:
        return self.files / path.lstrip("/")


def make_box() -> Box:
    """Called once, inside the namespaces. The folder is a tmpfs that only these processes see."""
    take_precedence()
    cpus = sorted(os.sched_getaffinity(0))
    box = Box(Path("/media"), cpus[0], cpus[-1])
    run("mount", "-t", "tmpfs", "tmpfs", str(box.folder))
    run("ip", "link", "set", "lo", "up")
    add_address(BACKEND)
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65000")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.sched_setaffinity(0, {box.load_cpu})  # and so every child, unless it is started on the proxy's
    make_bodies(box)
    make_certificate(box)
    return box


def take_precedence() -> None:
    """What else runs on the machine then disturbs less. Where the right to is missing, the figures are only noisier."""
    try:
        os.setsid()  # a scheduling group of its own
        Path("/proc/self/autogroup").write_text("-19")
        os.nice(-15)
    except OSError:
        pass


def build(box: Box, name: str) -> str:
    """NAME.cc of this folder, compiled where only this run sees it."""
    program = box.folder / name
    if not program.exists():
        source = Path(__file__).resolve().parent / f"{name}.cc"
        run("g++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-o", str(program), str(source))
    return str(program)


def add_address(address: str) -> None:
    run("ip", "address", "add", f"{address}/32", "dev", "lo")


def make_bodies(box: Box) -> None:
    chance = random.Random(4)
    message = chance.randbytes(100)
    frame = b"\0" + len(message).to_bytes(4, "big") + message  # a gRPC message, not compressed
    small = chance.randbytes(64).hex().encode()
    for path, content in ((SMALL, small), (LARGE, chance.randbytes(65536)), (CALL, frame)):
        box.body(path).parent.mkdir(parents=True, exist_ok=True)
        box.body(path).write_bytes(content)


def make_certificate(box: Box) -> None:
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
        "-keyout", str(box.key), "-out", str(box.certificate))
    (box.folder / "tls.pem").write_bytes(box.certificate.read_bytes() + box.key.read_bytes())


def base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
