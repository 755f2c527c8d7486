# SPDX-License-Identifier: Apache-2.0
"""What is measured. A case yields points; a point is what all its participants do in turn, round after round."""
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from box import LARGE, Box
from load import (
    GRPC,
    PLAIN,
    TLS1,
    TLS2,
    IdleConnections,
    Load,
    NoSuchProtocol,
    Traffic,
    WrongResponse,
    check,
    h2load,
    handshakes,
    paced,
)
from peers import Envoy, HaProxy, Nginx, Peer, Relay
from sluice import Sluice, route_path

PEERS = ("sluice", "haproxy", "nginx", "envoy")
OTHERS: dict[str, type[Peer]] = {"haproxy": HaProxy, "nginx": Nginx, "envoy": Envoy, "relay": Relay}
Metrics = dict[str, float]
Run = Callable[[], Metrics]


@dataclass(frozen=True)
class Options:
    sluice: str
    io: str
    peers: tuple[str, ...]
    rounds: int
    requests: int


@dataclass
class Point:
    """The first participant is the one that the others are compared with."""

    case: str
    title: str
    unit: str
    rounds: int
    runs: dict[str, Run] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    values: dict[str, list[Metrics]] = field(default_factory=dict)

    def measure(self) -> None:
        for number in range(self.rounds):
            for name, run in self.runs.items():
                if name in self.wrong:
                    continue
                try:
                    self.values.setdefault(name, []).append(run())
                except (WrongResponse, RuntimeError) as error:  # wrong, or the proxy has ended
                    self.wrong[name] = f"round {number + 1}: {error}"

    def median(self, name: str, metric: str) -> float | None:
        values = [metrics[metric] for metrics in self.values.get(name, []) if metric in metrics]
        return statistics.median(values) if values else None


class Lab:
    """The proxies, each made when it is first needed and kept for all cases."""

    def __init__(self, box: Box, options: Options) -> None:
        self.box = box
        self.options = options
        self.peers: dict[str, Peer] = {}
        self.haproxy_rates: list[float] = []

    def peer(self, name: str) -> Peer:
        if name not in self.peers:
            address = f"192.0.2.{11 + len(self.peers)}"
            self.peers[name] = self._make(name, address)
            self.peers[name].start()
        return self.peers[name]

    def _make(self, name: str, address: str) -> Peer:
        if name in OTHERS:
            return OTHERS[name](self.box, address)
        io = {"sluice-ring": "io_uring", "sluice-epoll": "epoll"}.get(name, self.options.io)
        return Sluice(self.box, address, self.options.sluice, io, name, 10_000 if name == "sluice-routes" else 0)

    def stop(self) -> None:
        for peer in self.peers.values():
            peer.stop()

    def point(self, case: str, title: str, unit: str = "request", rounds: int | None = None) -> Point:
        return Point(case, title, unit, rounds or self.options.rounds)

    def supports(self, point: Point, participant: str, peer: Peer, traffic: Traffic) -> bool:
        """The checking pass before a point. Ours may lack a protocol, which is shown; all else that is wrong fails."""
        try:
            check(peer, traffic, self.box)
            return True
        except WrongResponse as error:
            reason = peer.why_not(traffic.port)
            if not reason and isinstance(error, NoSuchProtocol) and isinstance(peer, Sluice):
                reason = str(error)
            if reason and traffic.port != PLAIN.port:
                point.skipped[participant] = f"not supported yet: {reason}"
            else:
                point.wrong[participant] = str(error)
        return False

    def add_load(self, point: Point, participant: str, peer: Peer, traffic: Traffic, requests: int) -> None:
        def run() -> Metrics:
            return self.cost(peer, lambda: h2load(peer, traffic, self.box, requests))

        if self.supports(point, participant, peer, traffic):
            try:
                h2load(peer, traffic, self.box, max(requests // 20, traffic.clients * traffic.streams))
                point.runs[participant] = run
            except WrongResponse as error:
                point.wrong[participant] = str(error)

    def cost(self, peer: Peer, load: Callable[[], Load]) -> Metrics:
        before = peer.running().cpu_ns()
        done = load()
        cpu_ns = peer.running().cpu_ns() - before
        return {"cpu_us": cpu_ns / 1000 / done.requests, "per_second": done.requests / done.seconds}

    def closed_loop(self, case: str, title: str, traffic: Traffic, requests: int, peers: tuple[str, ...] = ()) -> Point:
        point = self.point(case, f"{title}, {traffic.clients} connections"
                           + (f" x {traffic.streams} streams" if traffic.streams > 1 else ""))
        for name in peers or self.options.peers:
            self.add_load(point, name, self.peer(name), traffic, requests)
        return point


def h1_small(lab: Lab) -> Iterator[Point]:
    for clients in (32, 128):
        point = lab.closed_loop("h1_small", "HTTP/1 keep-alive, 128 B", replace(PLAIN, clients=clients),
                                lab.options.requests, (*lab.options.peers, "relay"))
        yield point
        lab.haproxy_rates += [metrics["per_second"] for metrics in point.values.get("haproxy", [])]


def h1_64k(lab: Lab) -> Iterator[Point]:
    yield lab.closed_loop("h1_64k", "HTTP/1 keep-alive, 64 KiB", replace(PLAIN, path=LARGE, body=LARGE),
                          max(lab.options.requests // 8, 1000))


def h2tls_h1(lab: Lab) -> Iterator[Point]:
    yield lab.closed_loop("h2tls_h1", "HTTP/2 and TLS to HTTP/1, 128 B", TLS2, lab.options.requests)


def h2_h2(lab: Lab) -> Iterator[Point]:
    yield lab.closed_loop("h2_h2", "HTTP/2 to HTTP/2, gRPC unary of 100 B", GRPC, lab.options.requests)


def handshake(lab: Lab) -> Iterator[Point]:
    point = lab.point("handshake", "full TLS 1.3 handshake, ECDSA P-256, one HTTP/1 request each", "handshake")
    count = max(lab.options.requests // 40, 250)

    def run(peer: Peer) -> Metrics:
        return lab.cost(peer, lambda: handshakes(peer, lab.box, count))

    for name in lab.options.peers:
        peer = lab.peer(name)
        if lab.supports(point, name, peer, TLS1):
            point.runs[name] = partial(run, peer)
    yield point


def routes_10000(lab: Lab) -> Iterator[Point]:
    point = lab.point("routes_10000", "first and last of 10,000 path prefixes of one host, HTTP/1, 32 connections")
    many = lab.peer("sluice-routes")
    for participant, path in (("last of 10,000", route_path(9999)), ("first of 10,000", route_path(0))):
        lab.add_load(point, participant, many, replace(PLAIN, path=path), lab.options.requests)
    lab.add_load(point, "the only one", lab.peer("sluice"), replace(PLAIN, path=route_path(0)), lab.options.requests)
    yield point


IDLE_CONNECTIONS = 5000


def idle_memory(lab: Lab) -> Iterator[Point]:
    for kind, traffic in (("HTTP/1", PLAIN), ("HTTP/1 and TLS", TLS1)):
        point = lab.point("idle_memory", f"{IDLE_CONNECTIONS} idle {kind} connections after one request each",
                          rounds=min(lab.options.rounds, 3))
        for name in lab.options.peers:
            peer = lab.peer(name)
            if lab.supports(point, name, peer, traffic):
                point.runs[name] = partial(idle_bytes, lab, peer, traffic)
        yield point


def idle_bytes(lab: Lab, peer: Peer, traffic: Traffic) -> Metrics:
    peer.stop()  # a heap that earlier cases have grown would hide what the connections take
    peer.start()
    check(peer, traffic, lab.box)
    before = peer.running().rss_bytes()
    with IdleConnections(peer, traffic, lab.box, IDLE_CONNECTIONS) as connections:
        time.sleep(1)  # some give memory back a little later
        grown = peer.running().rss_bytes() - before
        connections.check_open()
    return {"idle_bytes": grown / IDLE_CONNECTIONS}


def io_loops(lab: Lab) -> Iterator[Point]:
    yield lab.closed_loop("io_loops", "io_uring against epoll, HTTP/1, 128 B", replace(PLAIN, clients=128),
                          lab.options.requests, ("sluice-ring", "sluice-epoll"))


def h1_latency(lab: Lab) -> Iterator[Point]:
    haproxy = lab.peer("haproxy")
    for clients in (32, 128) if not lab.haproxy_rates else ():
        traffic = replace(PLAIN, clients=clients)
        load = partial(h2load, haproxy, traffic, lab.box, lab.options.requests)
        lab.haproxy_rates += [lab.cost(haproxy, load)["per_second"] for _ in range(3)]
    rate = int(0.6 * max(lab.haproxy_rates))
    point = lab.point("h1_latency", f"HTTP/1, 128 B, {rate} requests/s (60 % of HAProxy's most), 64 connections")

    def run(peer: Peer) -> Metrics:
        before = peer.running().cpu_ns()
        seen = paced(peer, PLAIN, lab.box, rate, 3)
        cpu_us = (peer.running().cpu_ns() - before) / 1000 / seen.answered
        return {"cpu_us": cpu_us, "per_second": seen.answered / seen.seconds,
                "p50_us": seen.p50_us, "p99_us": seen.p99_us, "p999_us": seen.p999_us}

    for name in lab.options.peers:
        peer = lab.peer(name)
        if lab.supports(point, name, peer, PLAIN):
            point.runs[name] = partial(run, peer)
    yield point


CASES: dict[str, Callable[[Lab], Iterator[Point]]] = {case.__name__: case for case in (
    h1_small, h1_64k, h2tls_h1, h2_h2, handshake, routes_10000, idle_memory, io_loops, h1_latency)}
