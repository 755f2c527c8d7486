# SPDX-License-Identifier: Apache-2.0
"""Sends the corpus of hostile messages to a proxy in front of a recording backend and judges what comes of it.

    tests/hostile/run http1 --binary build/sluice --io epoll      exit code 0: everything as claimed
    tests/hostile/run http1 --peers haproxy,nginx,envoy           a table of where others differ from ours
    tests/hostile/run http2 --only rapid_reset --verbose          what is sent and what arrives

`run` makes the private namespaces that this needs. Each message goes over a connection of its own: whole, cut in two,
and a part of them byte by byte. After each, a good request over a new connection must be answered."""
import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backend import Arrived, Recorder
from backend_http2 import Http2Recorder
from client import Client, Result
from corpus import Case, Step, expand, message, parse_claim, read_folder, unescape
from h2frames import frames
from judge import judge
from targets import BACKEND_PORT, BACKEND_PORT_HTTP2, PEERS, REPOSITORY, Sluice, Target

HERE = Path(__file__).resolve().parent
SHOWN = 1500  # bytes of a message in a report
BYTEWISE_MAX = 200  # bytes of a message that is also sent byte by byte
DEAD = "the proxy is dead"
PROBE = Case("probe", "", parse_claim("forwarded"))


@dataclass
class Try:
    """A case sent in one way."""
    case: Case
    way: str
    mark: str
    arrived: list[Arrived] = field(default_factory=list)
    garbage: list[str] = field(default_factory=list)
    sent: bytes = b""
    result: Result = field(default_factory=Result)
    objections: list[str] = field(default_factory=list)


class Bench:
    """One target with the backend behind it."""

    def __init__(self, target: Target, folder: str) -> None:
        self.target = target
        self.folder = folder
        self.tries: dict[str, Try] = {}
        self.strays: list[str] = []  # what reached the backend and belongs to no case
        self.crashes = 0
        self.peak_mib = 0
        self._count = 0
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        backends = ((Recorder(self.on_request, self.on_garbage).serve, BACKEND_PORT),
                    (Http2Recorder(self.on_http2_request, self.on_garbage).serve, BACKEND_PORT_HTTP2))
        for serve, port in backends:
            self._servers.append(await asyncio.start_server(serve, "198.51.100.11", port, limit=1 << 20, backlog=4096))
        await asyncio.to_thread(self.target.start)

    async def close(self) -> int:
        self.peak_mib = self.target.peak_mib()
        status = await asyncio.to_thread(self.target.stop)
        for server in self._servers:
            server.close()
        return status

    def note(self, request: Arrived) -> Try | None:
        attempt = self.tries.get(request.mark())
        if attempt is None:
            if request.is_whole:
                self.strays.append(f"a request of no case: {bytes(request.raw[:300])!r}")
        elif not any(known is request for known in attempt.arrived):
            attempt.arrived.append(request)
        return attempt

    def on_http2_request(self, request: Arrived) -> tuple[list[str], bool]:
        attempt = self.note(request)
        if attempt is not None and attempt.case.reply is not None:
            return attempt.case.reply, attempt.case.reply_closes
        return ["HEADERS @ END_HEADERS :status=200", f"DATA @ END_STREAM {request.mark()}"], False

    def on_request(self, request: Arrived) -> tuple[bytes, bool] | None:
        attempt = self.note(request)
        if attempt is not None and attempt.case.reply is not None:
            if attempt.case.reply_at_head == request.is_whole:
                return None
            reply = "".join(attempt.case.reply).replace("{id}", attempt.mark)
            return unescape(expand(reply)), attempt.case.reply_closes
        return plain_reply(request) if request.is_whole else None

    def on_garbage(self, data: bytes, why: str, mark: str) -> None:
        text = f"{why}: {data[:300]!r}"
        if mark in self.tries:
            self.tries[mark].garbage.append(text)
        else:
            self.strays.append(text)

    async def is_dying(self) -> bool:
        """A process that writes its last report still counts as alive for a while."""
        for _ in range(20):
            if not self.target.is_alive():
                return True
            if await asyncio.to_thread(self.target.accepts):
                return False
            await asyncio.sleep(0.1)
        return not self.target.is_alive()

    def begin(self, case: Case, way: str) -> Try:
        self._count += 1
        attempt = Try(case, way, f"k{self._count:06x}z")
        self.tries[attempt.mark] = attempt
        return attempt

    def steps_of(self, attempt: Try) -> list[Step]:
        if self.folder == "http2":
            return frames(attempt.case.lines, attempt.mark, attempt.case.has_preface)
        return message(attempt.case.lines, attempt.mark)

    async def send(self, attempt: Try) -> None:
        steps = self.steps_of(attempt)
        attempt.sent = b"".join(step for step in steps if isinstance(step, bytes))
        client = Client(attempt.case, self.folder == "http2", pieces_of(attempt))
        must_answer = attempt.case.claim.kind != "waits"
        port = self.target.port_http2 if self.folder == "http2" else 8080
        try:
            attempt.result = await client.run(self.target.address, port, steps, must_answer)
        except OSError as error:
            attempt.objections.append(f"no connection: {error}")
            return
        attempt.objections = judge(attempt.case, attempt.result, attempt.arrived, attempt.garbage, attempt.mark)

    async def probe(self, attempt: Try) -> None:
        probing = self.begin(PROBE, "")
        host = f"Host: {probing.mark}.hostile.test\r\n"
        text = f"GET /{probing.mark} HTTP/1.1\r\n{host}\r\n".encode()
        client = Client(PROBE, False, None)
        try:
            result = await client.run(self.target.address, 8080, [text], must_answer=True, lingers=False)
        except OSError as error:
            attempt.objections.append(f"then no connection: {error}")
            return
        whole = judge(PROBE, result, probing.arrived, probing.garbage, probing.mark)
        attempt.objections += [f"then a good request: {objection}" for objection in whole]

    async def try_out(self, case: Case, way: str) -> Try:
        attempt = self.begin(case, way)
        await self.send(attempt)
        await self.probe(attempt)
        if attempt.objections and await self.is_dying():
            attempt.objections.insert(0, DEAD)
        return attempt


def plain_reply(request: Arrived) -> tuple[bytes, bool]:
    body = f"{request.mark()} {request.method} {request.target}\n".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return head + (b"" if request.method == "HEAD" else body), request.version == 0


def pieces_of(attempt: Try) -> list[int] | None:
    if attempt.way == "whole":
        return None
    if attempt.way == "bytes":
        return [1] * len(attempt.sent)
    return [random.Random(attempt.case.name).randrange(1, max(2, len(attempt.sent)))]


def ways_of(case: Case, folder: str) -> list[str]:
    is_small = folder != "http2" and sum(len(expand(line)) for line in case.lines) < BYTEWISE_MAX
    return ["whole", "cut", *(["bytes"] if is_small else [])]


async def run_all(bench: Bench, cases: list[Case], ways: Callable[[Case], list[str]], jobs: int) -> list[Try]:
    """Every case in every way. After a crash, what was under way and what is left is tried one at a time."""
    waiting = [(case, way) for case in cases for way in ways(case)]
    done: list[Try] = []

    async def worker() -> None:
        while waiting and bench.target.is_alive():
            done.append(await bench.try_out(*waiting.pop(0)))

    await asyncio.gather(*(worker() for _ in range(jobs)))
    if bench.target.is_alive():
        return done
    suspects = [attempt for attempt in done if DEAD in attempt.objections]
    done = [attempt for attempt in done if DEAD not in attempt.objections]
    for case, way in [(attempt.case, attempt.way) for attempt in suspects] + waiting:
        if not bench.target.is_alive():
            await asyncio.to_thread(bench.target.start)
        done.append(await bench.try_out(case, way))
    bench.crashes += 1
    return done


def describe(attempt: Try) -> str:
    verdict = "; ".join(attempt.objections) or "as claimed"
    lines = [f"{attempt.case.name} ({attempt.way}): {attempt.case.claim.text}: {verdict}",
             f"    sent     {len(attempt.sent)} bytes {attempt.sent[:SHOWN]!r}",
             f"    received {attempt.result.raw[:SHOWN]!r}{' and the end' if attempt.result.closed else ''}"]
    if attempt.result.http2 is not None:
        outcome = attempt.result.http2
        lines.append(f"    HTTP/2   goaway {outcome.goaway} {outcome.streams}"[:SHOWN])
    for request in attempt.arrived:
        lines.append(f"    arrived  {'' if request.is_whole else 'in part '}{bytes(request.raw[:SHOWN])!r}")
    return "\n".join(lines)


async def send_corpus(target: Target, arguments: argparse.Namespace, cases: list[Case]) -> tuple[list[Try], Bench, int]:
    bench = Bench(target, arguments.folder)
    await bench.open()
    ways = (lambda case: ways_of(case, arguments.folder)) if target.name == "sluice" else (lambda _: ["whole"])
    tries = await run_all(bench, cases, ways, arguments.jobs)
    if not tries:
        raise SystemExit("no case ran")
    return tries, bench, await bench.close()


def report(tries: list[Try], bench: Bench, status: int, verbose: bool) -> bool:
    """Ours: everything must be as claimed."""
    bad = [attempt for attempt in tries if attempt.objections]
    for attempt in tries if verbose else bad:
        print(describe(attempt))
    for stray in bench.strays:
        print(f"at the backend, {stray}")
    log = bench.target.log()
    has_report = any(word in log for word in ("AddressSanitizer", "LeakSanitizer", "runtime error"))
    if status != 0 or has_report:
        print(f"{bench.target.name} ended with {status}:\n{log[-20000:]}")
    cases = {attempt.case.name for attempt in tries}
    print(f"{bench.target.name}: {len(cases)} cases, {len(tries)} messages, {len(bad)} not as claimed; "
          f"{bench.peak_mib} MiB at most")
    return not (bad or bench.strays or status or has_report or bench.crashes)


def seen(attempt: Try) -> str:
    """In a word, for the table of peers."""
    if DEAD in attempt.objections:
        return "crash"
    whole = sum(1 for request in attempt.arrived if request.is_whole)
    codes = ",".join(str(answer.status) for answer in attempt.result.answers[:3])
    outcome = attempt.result.http2
    if outcome is not None and not codes:
        resets = [stream.reset for stream in outcome.streams.values() if stream.reset]
        codes = f"goaway {outcome.goaway}" if outcome.goaway else f"reset {resets[0]}" if resets else ""
    end = codes or ("close" if attempt.result.closed else "-")
    return f"{whole}:{end}{' !' if any('backend' in text for text in attempt.objections) else ''}"


def compare(results: dict[str, list[Try]]) -> None:
    """Requests that arrived and answers, of each proxy; `!`: what arrived was ambiguous or too much."""
    names = list(results)
    rows = {name: {attempt.case.name: attempt for attempt in tries if attempt.way.startswith("whole")}
            for name, tries in results.items()}
    print(f"{'case':50} {'claim':24} " + " ".join(f"{name:16}" for name in names))
    for case_name, ours in rows[names[0]].items():
        cells = [seen(rows[name][case_name]) if case_name in rows[name] else "" for name in names]
        objecting = [name for name in names if case_name in rows[name] and rows[name][case_name].objections]
        if objecting or len({cell.split(",")[0] for cell in cells}) > 1:
            print(f"{case_name:50} {ours.case.claim.text:24} " + " ".join(f"{cell:16}" for cell in cells))
    for name in names:
        bad = sum(1 for attempt in rows[name].values() if attempt.objections)
        print(f"{name}: {bad} of {len(rows[name])} not as claimed of ours")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", choices=["http1", "http2", "http2_backend"])
    parser.add_argument("--binary", default=str(REPOSITORY / "build/sluice"))
    parser.add_argument("--io", default="io_uring", choices=["io_uring", "epoll"])
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--jobs", type=int, default=0, help="messages under way at a time")
    parser.add_argument("--peers", default="", help=f"of {','.join(PEERS)}: cross-check, none judged")
    parser.add_argument("--without-ours", action="store_true", help="peers alone")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    # The streams of all cases share a connection to an HTTP/2 backend, and a case may break it.
    arguments.jobs = arguments.jobs or (1 if arguments.folder == "http2_backend" else 16)
    return arguments


def main() -> int:
    arguments = parse_arguments()
    if not arguments.without_ours and not Path(arguments.binary).exists():
        print(f"SKIPPED: {arguments.binary} is not built")
        return 77
    cases = [case for case in read_folder(HERE / arguments.folder) if arguments.only in case.name]
    for address in ("198.51.100.11", "203.0.113.10"):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    good = True
    results: dict[str, list[Try]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.without_ours:
            target: Target = Sluice(folder, "203.0.113.10", arguments.binary, arguments.io)
            started = time.monotonic()
            tries, bench, status = asyncio.run(send_corpus(target, arguments, cases))
            good = report(tries, bench, status, arguments.verbose)
            print(f"{time.monotonic() - started:.1f} s")
            results["sluice"] = tries
        for peer in filter(None, arguments.peers.split(",")):
            tries, bench, status = asyncio.run(send_corpus(PEERS[peer](folder, "203.0.113.10"), arguments, cases))
            results[peer] = tries
            if arguments.verbose:
                report(tries, bench, 0, False)
    if arguments.peers:
        compare(results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
