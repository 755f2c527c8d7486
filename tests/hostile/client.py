# SPDX-License-Identifier: Apache-2.0
"""The client's side: sends a message's steps in pieces and reads what comes back, to the end or until nothing more
comes. Waits only for what may still arrive."""
import asyncio
import re
import socket
from dataclasses import dataclass, field

from corpus import Await, Case, Step
from h2frames import SETTINGS_ACK, TYPES, Outcome, frame

QUIET_S = 0.3    # after the last byte, when nothing more need come
SETTLED_S = 0.1  # the same, after the answers that are due
HANG_S = 8.0     # an answer that must come; slow machines and sanitizers have time
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?")


@dataclass
class Answer:
    status: int
    body: bytes = b""
    is_whole: bool = False
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass
class Result:
    """What the client saw."""
    answers: list[Answer] = field(default_factory=list)
    closed: bool = False
    raw: bytes = b""
    problem: str = ""  # no client could read it so
    http2: Outcome | None = None


def parse_answers(data: bytes, methods: list[str], closed: bool) -> tuple[list[Answer], str]:
    """Final answers in their order. `methods`: of the requests, as far as they are known (HEAD has no body)."""
    answers: list[Answer] = []
    at = 0
    while at < len(data):
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            return answers, "" if data[at:at + 5] == b"HTTP/"[:len(data) - at] else f"no answer: {data[at:at + 60]!r}"
        lines = data[at:end].split(b"\r\n")
        match = STATUS_LINE.fullmatch(lines[0])
        if match is None or re.search(rb"[\r\n\0]", b"".join(lines)):
            return answers, f"a bad head: {data[at:end][:200]!r}"
        pairs = [line.partition(b":") for line in lines[1:]]
        fields = [(name.lower(), value.strip()) for name, _, value in pairs]
        answer = Answer(int(match[1]), fields=fields)
        at = end + 4
        if answer.status < 200 and answer.status != 101:
            continue
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        answers.append(answer)
        at = parse_body(data, at, answer, method, closed)
        if at < 0:
            return answers, f"two framings: {fields!r}"
    return answers, ""


def parse_body(data: bytes, at: int, answer: Answer, method: str, closed: bool) -> int:
    lengths = [value for name, value in answer.fields if name == b"content-length"]
    encodings = [value for name, value in answer.fields if name == b"transfer-encoding"]
    if len(lengths) > 1 or len(encodings) > 1 or (lengths and encodings):
        return -1
    if answer.status in (204, 304) or method == "HEAD":
        answer.is_whole = True
    elif answer.status == 101 or not (lengths or encodings):
        answer.body, at, answer.is_whole = data[at:], len(data), closed or answer.status == 101
    elif lengths:
        size = int(lengths[0])
        answer.body = data[at:at + size]
        answer.is_whole = len(answer.body) == size
        at += len(answer.body)
    else:
        at = parse_chunks(data, at, answer)
    return at


def parse_chunks(data: bytes, at: int, answer: Answer) -> int:
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return len(data)
        size = int(data[at:end], 16)
        at = end + 2
        if size == 0:
            answer.is_whole = data[at:at + 2] == b"\r\n"  # the proxies here send no trailers to HTTP/1 clients
            return at + 2 if answer.is_whole else len(data)
        answer.body += data[at:at + size]
        at += size + 2


class Client:
    """One connection."""

    def __init__(self, case: Case, is_http2: bool, pieces: list[int] | None) -> None:
        self._case = case
        self._pieces = pieces  # sizes to cut what is sent into; None: whole
        self.result = Result()
        self._data = bytearray()
        self._methods: list[str] = []
        self._news = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._is_amid = False  # a step is half sent: nothing may come between its pieces
        if is_http2:
            self.result.http2 = Outcome()

    async def run(self, address: str, port: int, steps: list[Step], must_answer: bool, lingers: bool = True) -> Result:
        reader, self._writer = await asyncio.open_connection(address, port)
        self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.result.http2 is None:
            self._methods = [step.split(b" ")[0].strip().decode("latin-1") for step in steps if isinstance(step, bytes)]
        reading = asyncio.create_task(self._read(reader))
        try:
            for step in steps:
                if isinstance(step, Await):
                    await self._settle(step.answers, HANG_S)
                else:
                    await self._send(step)
            if not self._case.hangs_up:
                await self._settle(self._expected(), HANG_S if must_answer else QUIET_S)
                if lingers:
                    await self._until_quiet()
        except (ConnectionError, OSError):
            await asyncio.wait([reading], timeout=QUIET_S)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self._writer.close()
        if self._case.hangs_up:
            await asyncio.sleep(SETTLED_S)  # for what may still reach the backend
        self._parse()
        return self.result

    def _expected(self) -> int:
        """How many answers there will be at least, if it goes on for so long."""
        claim = self._case.claim
        if claim.kind == "either" and self.result.http2 is not None:
            return 1
        return max(1, claim.forwarded + (claim.kind not in ("forwarded", "either")))

    def _is_over(self) -> bool:
        outcome = self.result.http2
        return self.result.closed or (outcome is not None and bool(outcome.goaway or outcome.problem))

    async def _send(self, data: bytes) -> None:
        self._is_amid = True
        await self._send_pieces(data)
        self._is_amid = False
        self._respond()

    async def _send_pieces(self, data: bytes) -> None:
        assert self._writer is not None
        at = 0
        for size in self._pieces or [len(data)]:
            self._writer.write(data[at:at + size])
            await self._writer.drain()
            at += size
            if at >= len(data) or self.result.closed:
                break
            await asyncio.sleep(0.001)  # so that the proxy reads it by itself
        if at < len(data) and not self.result.closed:
            self._writer.write(data[at:])
            await self._writer.drain()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(65536):
                self._data += data
                self._respond()
                self._news.set()
        except ConnectionError:
            pass
        self.result.closed = True
        self._news.set()

    def _respond(self) -> None:
        """What every HTTP/2 client must answer to."""
        outcome = self.result.http2
        if outcome is None:
            return
        outcome.feed(self._data)
        if self._case.is_quiet or self._is_amid or self._writer is None or self._writer.is_closing():
            return
        while outcome.settings > 0:
            outcome.settings -= 1
            self._writer.write(SETTINGS_ACK)
        for payload in outcome.pings:
            self._writer.write(frame(TYPES["PING"], 1, 0, payload))
        outcome.pings.clear()

    def _count(self) -> int:
        if self.result.http2 is not None:
            return self.result.http2.ended_streams()
        answers, _ = parse_answers(bytes(self._data), self._methods, self.result.closed)
        return sum(1 for answer in answers if answer.is_whole)

    async def _settle(self, answers: int, patience_s: float) -> None:
        """Until so many answers are here, or the end, or nothing came for so long."""
        waits_for_end = self._case.claim.kind == "ended" and answers == self._expected()
        while not self._is_over() and (self._count() < answers or waits_for_end):
            if not await self._more(patience_s):
                return

    async def _until_quiet(self) -> None:
        while not self.result.closed and await self._more(SETTLED_S if self._count() > 0 else QUIET_S):
            pass

    async def _more(self, patience_s: float) -> bool:
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), patience_s)
        except TimeoutError:
            return False
        return True

    def _parse(self) -> None:
        result = self.result
        result.raw = bytes(self._data)
        if result.http2 is not None:
            result.problem = result.http2.problem
            for _, stream in sorted(result.http2.streams.items()):
                if stream.statuses:
                    is_whole = stream.ended and stream.reset in (None, 0)
                    final = next((status for status in stream.statuses if status >= 200), stream.statuses[-1])
                    result.answers.append(Answer(final, stream.body, is_whole))
            return
        result.answers, result.problem = parse_answers(result.raw, self._methods, result.closed)
