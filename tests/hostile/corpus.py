# SPDX-License-Identifier: Apache-2.0
r"""The corpus: messages in text files, many to a file, each with a claim.

    == name-of-the-case
    -- claim: refused 400
    POST /{id} HTTP/1.1\r\n
    <host>
    Content-Length: +5\r\n\r\nhello

The ends of the file's lines mean nothing: \r \n \t \0 \\ and \xNN stand for bytes, <repeat 3 "x"> for three x (with {n}
for the number of the round), <host> for a good Host line, {id} for what marks the case's requests at the backend.
A line with # in front is a comment. In http2/ every line is a frame: see h2frames.py. In http2_backend/ the client
speaks HTTP/1 and the replies are frames, with @ for the stream.

Claims, about the answer and about the complete requests that reach the backend:
    refused [CODES]     none arrives; an answer of ours, one of CODES (400|501, also 4xx), or the connection's end
    forwarded [N]       exactly N arrive (1), each is answered with 200, and the answer is its own
    forwarded N refused [CODES]    N arrive and are answered, then a refusal
    either [N]          at most N arrive (1); answered or ended in any way
    waits               none arrives and nothing is answered: the message is not whole
    answered CODES      to a scripted reply: at most one arrives (`requests`: so many), the answer is whole
    cut [CODES]         to a scripted reply: the answer begins but is never whole, or it is one of CODES
    ended               the connection does not live on, whatever arrives (`requests`: at most so many)
Of HTTP/2, CODES may have `reset` (RST_STREAM or worse) and `goaway` (GOAWAY with an error or the connection's end).

Directives:
    backend: METHOD TARGET [LENGTH]    of each request that may arrive, in their order; LENGTH in bytes of body
    absent: NAME, NAME                 fields that must not arrive
    host: TEXT                         the Host that must arrive
    requests: N                        at most so many arrive (with `answered`, `cut`, `ended`)
    await: N                           here the client waits until it has N answers
    reply [at head] [then close]:      what follows is what the backend answers with, instead of a plain 200
    hang up                            the client ends the connection when the message is sent
    preface: none                      HTTP/2: the corpus brings the preface and the SETTINGS itself
    quiet                              the client acknowledges no SETTINGS and no PING
"""
import re
from dataclasses import dataclass, field
from pathlib import Path

ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
REPEAT = re.compile(r'<repeat (\d+) "((?:[^"\\]|\\.)*)">')
SIMPLE = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", '"': '"'}
CLAIM = re.compile(r"(?:(forwarded) (\d+) )?(refused|forwarded|either|waits|answered|cut|ended)(?: (\S+))?")


class CorpusError(Exception):
    pass


@dataclass(frozen=True)
class Await:
    """The client goes on when it has so many answers."""
    answers: int


Step = bytes | Await


@dataclass
class Claim:
    kind: str
    codes: list[str]  # of the last answer; empty: any
    forwarded: int    # requests that arrive, at most or exactly
    text: str


@dataclass
class Case:
    name: str
    file: str
    claim: Claim
    lines: list[str] = field(default_factory=list)  # of the message, as in the file
    backend: list[list[str]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    host: str = ""
    requests: int = 1
    reply: list[str] | None = None
    reply_at_head: bool = False
    reply_closes: bool = False
    hangs_up: bool = False
    has_preface: bool = True
    is_quiet: bool = False


def expand(line: str) -> str:
    """Repeats and <host> written out; escapes stay."""
    def rounds(match: re.Match[str]) -> str:
        return "".join(match[2].replace("{n}", str(number)) for number in range(int(match[1])))
    return REPEAT.sub(rounds, line).replace("<host>", r"Host: {id}.hostile.test\r\n")


def unescape(text: str) -> bytes:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 3:
            return chr(int(code[1:], 16))
        if code not in SIMPLE:
            raise CorpusError(f"no such escape: \\{code}")
        return SIMPLE[code]
    return ESCAPE.sub(one, text).encode("latin-1")


def message(lines: list[str], mark: str) -> list[Step]:
    """An HTTP/1 message as the steps of its sending."""
    steps: list[Step] = []
    part = b""
    for line in lines:
        if line.startswith("-- await:"):
            steps += [part, Await(int(line.split(":")[1]))]
            part = b""
        else:
            part += unescape(expand(line).replace("{id}", mark))
    return [*steps, part]


def parse_claim(text: str) -> Claim:
    match = CLAIM.fullmatch(text)
    if match is None:
        raise CorpusError(f"no such claim: {text}")
    kind, detail = match[3], match[4] or ""
    before = int(match[2] or 0)
    if kind in ("forwarded", "either"):
        return Claim(kind, [], int(detail or 1), text)
    return Claim(kind, detail.split("|") if detail else [], before, text)


def directive(case: Case, text: str) -> None:
    key, _, value = (part.strip() for part in text.partition(":"))
    if key == "claim":
        case.claim = parse_claim(value)
    elif key == "backend":
        case.backend.append(expand(value).split())
    elif key == "absent":
        case.absent = [name.strip().lower() for name in value.split(",")]
    elif key == "host":
        case.host = value
    elif key == "requests":
        case.requests = int(value)
    elif key == "preface":
        case.has_preface = False
    elif key == "hang up":
        case.hangs_up = True
    elif key == "quiet":
        case.is_quiet = True
    elif key.startswith("reply"):
        case.reply = []
        case.reply_at_head = "at head" in key
        case.reply_closes = "then close" in key
    else:
        raise CorpusError(f"no such directive: {key}")


def read_file(path: Path) -> list[Case]:
    cases: list[Case] = []
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        try:
            if line.startswith("== "):
                cases.append(Case(f"{path.stem}/{line[3:].strip()}", str(path), Claim("", [], 0, "")))
            elif line.startswith("#") or not line:
                continue
            elif not cases:
                raise CorpusError("a line before the first case")
            elif line.startswith("-- ") and not line.startswith("-- await:"):
                directive(cases[-1], line[3:])
            elif cases[-1].reply is not None:
                cases[-1].reply.append(line)
            else:
                cases[-1].lines.append(line)
        except (CorpusError, ValueError) as error:
            raise CorpusError(f"{path}:{number}: {error}") from error
    for case in cases:
        if not case.claim.kind or not case.lines:
            raise CorpusError(f"{path}: {case.name} has no claim or no message")
    return cases


def read_folder(folder: Path) -> list[Case]:
    cases = [case for path in sorted(folder.glob("*.txt")) for case in read_file(path)]
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise CorpusError(f"two cases of one name: {', '.join(sorted(twice))}")
    return cases
