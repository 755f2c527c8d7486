# SPDX-License-Identifier: Apache-2.0
"""Load and its judgement: h2load counts, curl compares bodies, pacer.cc and idler.py do what neither can."""
import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from box import CALL, GRPC_PORT, HOST, PLAIN_PORT, SMALL, TLS_PORT, Box, build
from peers import Peer

GRPC_HEADERS = ["-H", "te: trailers", "-H", "content-type: application/grpc"]
HERE = Path(__file__).resolve().parent


class WrongResponse(Exception):
    """A proxy answered otherwise than the backend did, or not at all."""


class NoSuchProtocol(WrongResponse):
    """No HTTP answer came, or one in another version than asked for."""


@dataclass(frozen=True)
class Traffic:
    """One kind of request: by which port, for what, over how many connections with how many streams each."""

    port: int
    path: str = SMALL
    body: str = SMALL  # the file that must come back
    http2: bool = False
    clients: int = 32
    streams: int = 1

    @property
    def tls(self) -> bool:
        return self.port == TLS_PORT

    @property
    def grpc(self) -> bool:
        return self.port == GRPC_PORT

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{HOST}:{self.port}{self.path}"


PLAIN = Traffic(PLAIN_PORT)
TLS1 = Traffic(TLS_PORT)
TLS2 = Traffic(TLS_PORT, http2=True, clients=8, streams=16)
GRPC = Traffic(GRPC_PORT, CALL, CALL, http2=True, clients=8, streams=16)


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float


def check(peer: Peer, traffic: Traffic, box: Box) -> None:
    """One request by curl, every byte of the answer compared."""
    got, head = box.folder / "got", box.folder / "head"
    for path in (got, head):
        path.unlink(missing_ok=True)
    version = "--http1.1" if not traffic.http2 else "--http2" if traffic.tls else "--http2-prior-knowledge"
    argv = ["curl", "-sS", "--max-time", "10", version, "--tlsv1.3", "--cacert", str(box.certificate),
            "--connect-to", f"::{peer.address}:{traffic.port}", "-o", str(got), "-D", str(head),
            "-w", "%{http_code} %{http_version}", traffic.url]
    if traffic.grpc:
        argv += [*GRPC_HEADERS, "--data-binary", f"@{box.body(CALL)}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    where = f"{peer.name} {traffic.url}"
    if done.returncode != 0:
        raise NoSuchProtocol(f"{where}: {done.stderr.strip()}")
    status, version = done.stdout.split()
    if version != ("2" if traffic.http2 else "1.1"):
        raise NoSuchProtocol(f"{where}: answered in HTTP/{version}")
    if status != "200":
        raise WrongResponse(f"{where}: status {status}")
    if got.read_bytes() != box.body(traffic.body).read_bytes():
        raise WrongResponse(f"{where}: the body is not the backend's, {got.stat().st_size} bytes{grpc_status(head)}")
    if traffic.grpc and grpc_status(head) != ", grpc-status: 0":
        raise WrongResponse(f"{where}: the backend's grpc-status trailer is missing{grpc_status(head)}")


def grpc_status(head: Path) -> str:
    """Of the fields and trailers that curl saved; empty when there is none."""
    found = re.search(r"^grpc-status: \d+", head.read_text(), re.MULTILINE | re.IGNORECASE)
    return f", {found[0].strip()}" if found else ""


def h2load(peer: Peer, traffic: Traffic, box: Box, requests: int) -> Load:
    """A closed loop until that many requests are answered, each with 2xx and the right number of body bytes."""
    argv = ["h2load", "-n", str(requests), "-c", str(traffic.clients), "-m", str(traffic.streams),
            f"--connect-to={peer.address}:{traffic.port}", "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519"]
    if not traffic.http2:
        argv.append("--h1")
    if traffic.grpc:
        argv += [*GRPC_HEADERS, "-d", str(box.body(CALL))]
    done = subprocess.run([*argv, traffic.url], capture_output=True, text=True, check=False, timeout=300)
    good = re.search(r"(\d+) succeeded.*\nstatus codes: (\d+) 2xx", done.stdout)
    data = re.search(r"\((\d+)\) data", done.stdout)
    time = re.search(r"finished in ([\d.]+)(us|ms|s),", done.stdout)
    size = box.body(traffic.body).stat().st_size
    if not (good and data and time) or {int(good[1]), int(good[2])} != {requests} or int(data[1]) != requests * size:
        summary = [line for line in done.stdout.splitlines() if line.startswith(("requests:", "status", "traffic:"))]
        raise WrongResponse(f"{peer.name} {traffic.url}: {requests} of {size} bytes wanted, got {summary}{done.stderr}")
    return Load(requests, float(time[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[time[2]])


def handshakes(peer: Peer, box: Box, count: int) -> Load:
    """Full handshakes (h2load keeps no session), each on a connection of its own with one request."""
    batch = replace(TLS1, clients=min(count, 250))
    loads = [h2load(peer, batch, box, batch.clients) for _ in range(count // batch.clients)]
    return Load(sum(load.requests for load in loads), sum(load.seconds for load in loads))


@dataclass(frozen=True)
class Paced:
    """What pacer.cc saw: latencies from when each request was due, the p99 also of each 250 ms, and how many were answered."""

    p50_us: float
    p99_us: float
    p999_us: float
    answered: int
    seconds: float
    p99_of_windows_us: list[float]


def paced(peer: Peer, traffic: Traffic, box: Box, rate: int, seconds: int) -> Paced:
    argv = [build(box, "pacer"), peer.address, str(traffic.port), HOST, traffic.path,
            str(box.body(traffic.body)), str(rate), str(seconds)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode != 0:
        raise WrongResponse(f"{peer.name} at {rate}/s: {(done.stderr or done.stdout).strip()[-400:]}")
    return Paced(**json.loads(done.stdout))


class IdleConnections:
    """Keep-alive connections that carried one request each, held by idler.py until the end of the block."""

    def __init__(self, peer: Peer, traffic: Traffic, box: Box, count: int) -> None:
        self._what = f"{peer.name} {traffic.url}"
        argv = [sys.executable, "-B", str(HERE / "idler.py"), peer.address, str(traffic.port), HOST, traffic.path,
                str(box.body(traffic.body)), str(count), str(box.certificate) if traffic.tls else ""]
        self._child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       text=True)

    def __enter__(self) -> "IdleConnections":
        self._expect("all answered")
        return self

    def check_open(self) -> None:
        """Every connection must still be there, or it was not idle memory that was measured."""
        assert self._child.stdin is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        self._expect("all open")

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()

    def _expect(self, line: str) -> None:
        assert self._child.stdout is not None
        said = self._child.stdout.readline().strip()
        if said != line:
            rest = said if self._child.poll() is None else said + " " + self._child.stdout.read()
            self._child.kill()
            raise WrongResponse(f"{self._what}: {rest[-400:]}")
