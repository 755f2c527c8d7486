# SPDX-License-Identifier: Apache-2.0
"""The recording backend: keeps every byte that arrives and frames requests strictly by RFC 9112, by a parser that
shares nothing with the proxy's. What another backend could read in a second way is a fault, whatever we make of it."""
import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

MARK = re.compile(rb"k[0-9a-f]{6}z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.([01])")
FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff][\t\x20-\x7e\x80-\xff]*)?)")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
HEAD_MAX = 1 << 20


class Malformed(Exception):
    """Nothing after this point can be framed."""


@dataclass
class Arrived:
    """A request as it arrived."""
    raw: bytearray = field(default_factory=bytearray)
    method: str = ""
    target: str = ""
    version: int = 1
    fields: list[tuple[str, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    is_whole: bool = False
    faults: list[str] = field(default_factory=list)

    def values(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    def mark(self) -> str:
        found = MARK.search(self.raw)
        return found[0].decode() if found else ""


def parse_head(head: bytes, out: Arrived) -> None:
    """`head` without the empty line at its end. Faults are noted; the framing is as strict readers see it."""
    lines = head.split(b"\r\n")
    if re.search(rb"[\r\n\0]", b"".join(lines)):
        out.faults.append("a bare CR, LF or NUL in the head")
    match = REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        raise Malformed(f"request line {lines[0][:200]!r}")
    out.method, out.target, out.version = match[1].decode(), match[2].decode(), int(match[3])
    for line in lines[1:]:
        parts = FIELD_LINE.fullmatch(line)
        if parts is None:
            out.faults.append(f"field line {line[:200]!r}")
        else:
            out.fields.append((parts[1].decode().lower(), parts[2].rstrip(b" \t")))
    if len(out.values("host")) != 1 and (out.version == 1 or out.values("host")):
        out.faults.append(f"{len(out.values('host'))} Host fields")


def framing(request: Arrived) -> int | None:
    """The length of the body; None: chunked."""
    lengths, encodings = request.values("content-length"), request.values("transfer-encoding")
    if len(lengths) > 1 or len(encodings) > 1 or (lengths and encodings):
        request.faults.append(f"framed in two ways: Content-Length {lengths}, Transfer-Encoding {encodings}")
    if encodings:
        if request.version == 0 or encodings[0].lower() != b"chunked":
            raise Malformed(f"Transfer-Encoding {encodings} in HTTP/1.{request.version}")
        return None
    if lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise Malformed(f"Content-Length {lengths}")
    return int(lengths[0]) if lengths else 0


class Recorder:
    """Every request of every connection goes to `on_request` when its head is here and once more when it is whole;
    that says what to answer, if anything: (bytes, whether the connection ends then)."""

    def __init__(self, on_request: Callable[[Arrived], tuple[bytes, bool] | None],
                 on_garbage: Callable[[bytes, str, str], None]) -> None:
        self._on_request = on_request
        self._on_garbage = on_garbage  # bytes, why, the mark of the request before

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        last = ""
        request = Arrived()
        try:
            while True:
                request = Arrived()
                goes_on = await self.one(reader, writer, request)
                last = request.mark() or last
                if not goes_on:
                    break
        except asyncio.IncompleteReadError as end:  # the proxy ended it; a request in part stays a part
            request.raw += end.partial
            if not request.method and request.raw:
                self._on_garbage(bytes(request.raw), "the connection ends in a head", last)
        except (asyncio.LimitOverrunError, Malformed) as error:
            self._on_garbage(bytes(request.raw), str(error), request.mark() or last)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Arrived) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        request.raw += head
        parse_head(head[:-4], request)
        length = framing(request)
        goes_on = await self.answer(writer, request)
        if length is None:
            await self.read_chunks(reader, request)
        elif length > 0:
            await self.read_length(reader, request, length)
        request.is_whole = True
        return await self.answer(writer, request) and goes_on and request.version == 1

    async def answer(self, writer: asyncio.StreamWriter, request: Arrived) -> bool:
        reply = self._on_request(request)
        if reply is None:
            return True
        writer.write(reply[0])
        await writer.drain()
        if reply[1]:
            raise ConnectionAbortedError  # ends it with FIN: all that was read is read
        return True

    @staticmethod
    async def take(reader: asyncio.StreamReader, request: Arrived, count: int) -> bytes:
        data = await reader.readexactly(count)
        request.raw += data
        return data

    async def read_length(self, reader: asyncio.StreamReader, request: Arrived, length: int) -> None:
        while len(request.body) < length:
            data = await reader.read(length - len(request.body))
            if not data:
                raise asyncio.IncompleteReadError(b"", length)
            request.raw += data
            request.body += data

    async def read_line(self, reader: asyncio.StreamReader, request: Arrived) -> bytes:
        line = await reader.readuntil(b"\n")
        request.raw += line
        if not line.endswith(b"\r\n"):
            raise Malformed(f"a bare LF in the chunk framing: {line[:100]!r}")
        return line[:-2]

    async def read_chunks(self, reader: asyncio.StreamReader, request: Arrived) -> None:
        while True:
            line = await self.read_line(reader, request)
            if not CHUNK_SIZE.fullmatch(line):
                size_text = line.split(b";")[0].strip()
                if b";" not in line or not CHUNK_SIZE.fullmatch(size_text):
                    raise Malformed(f"chunk size {line[:100]!r}")
                request.faults.append(f"a chunk extension: {line[:100]!r}")
                line = size_text
            size = int(line, 16)
            if size == 0:
                break
            request.body += await self.take(reader, request, size)
            if await self.take(reader, request, 2) != b"\r\n":
                raise Malformed("no CR LF after a chunk")
        while trailer := await self.read_line(reader, request):
            name = trailer.split(b":")[0].strip().lower()
            if not FIELD_LINE.fullmatch(trailer) or name in (b"content-length", b"transfer-encoding", b"host"):
                request.faults.append(f"trailer {trailer[:100]!r}")
