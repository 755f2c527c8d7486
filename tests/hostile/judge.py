# SPDX-License-Identifier: Apache-2.0
"""Whether what the client saw and what reached the backend agree with a case's claim."""
from backend import Arrived
from client import Answer, Result
from corpus import Case


def refusal_fits(case: Case, result: Result, last: Answer | None) -> str:
    codes = case.claim.codes
    outcome = result.http2
    is_gone = result.closed or (outcome is not None and bool(outcome.goaway))
    is_reset = outcome is not None and any(stream.reset for stream in outcome.streams.values())
    if last is not None and last.status >= 400 and last.is_whole:
        fits = not codes or str(last.status) in codes or f"{last.status // 100}xx" in codes
        return "" if fits else f"refused with {last.status}"
    if last is not None and last.status < 400:
        return f"answered {last.status}"
    if is_gone and (not codes or "goaway" in codes or "reset" in codes or "close" in codes):
        return ""
    if is_reset and (not codes or "reset" in codes):
        return ""
    return "ended without an answer" if is_gone else "reset" if is_reset else "no answer within the time"


def is_ended(result: Result) -> bool:
    """The connection, or a stream of it."""
    outcome = result.http2
    return result.closed or (outcome is not None and (
        bool(outcome.goaway) or any(stream.reset is not None for stream in outcome.streams.values())))


def check_answers(case: Case, result: Result, whole: list[Arrived], mark: str) -> str:
    """The claim's own part."""
    claim = case.claim
    answers = result.answers
    statuses = [answer.status for answer in answers]
    good = [answer for answer in answers if answer.status < 400 and answer.is_whole]
    last = answers[-1] if answers else None
    if claim.kind == "refused":
        if len(whole) != claim.forwarded or len(good) != claim.forwarded:
            return f"{len(whole)} arrived, {len(good)} answered, instead of {claim.forwarded}"
        return refusal_fits(case, result, answers[claim.forwarded] if len(answers) > claim.forwarded else None)
    if claim.kind == "forwarded":
        if len(whole) != claim.forwarded or len(good) != claim.forwarded or len(answers) != len(good):
            return f"{len(whole)} arrived, answers {statuses}, instead of {claim.forwarded}"
    elif claim.kind == "waits":
        if whole or answers:
            return f"{len(whole)} arrived, answers {statuses}"
    elif claim.kind == "answered":
        fits = last is not None and last.is_whole and (str(last.status) in claim.codes)
        return "" if fits and len(answers) == 1 else f"answers {[(a.status, a.is_whole) for a in answers]}"
    elif claim.kind == "cut":
        fits = last is None or not last.is_whole or str(last.status) in claim.codes
        return "" if fits and (is_ended(result) or (last is not None and last.is_whole)) else f"answers {statuses}"
    elif claim.kind == "ended":
        is_gone = result.closed or (result.http2 is not None and bool(result.http2.goaway))
        return "" if is_gone else "the connection lives on"
    elif not answers and not is_ended(result):
        return "neither an answer nor an end within the time"
    if case.reply is None and claim.kind in ("forwarded", "either"):
        for answer in good:
            if answer.body and mark.encode() not in answer.body:
                return f"another request's answer: {answer.body[:200]!r}"
    return ""


def check_arrived(case: Case, arrived: list[Arrived], mark: str) -> str:
    whole = [request for request in arrived if request.is_whole]
    allowed = case.claim.forwarded if case.claim.kind in ("refused", "forwarded", "either") else case.requests
    if len(whole) > allowed:
        return f"{len(whole)} requests arrived, at most {allowed} were sent"
    for request in arrived:
        if request.faults:
            return f"ambiguous at the backend: {'; '.join(request.faults)}"
        for name in case.absent:
            if request.values(name):
                return f"the field {name} arrived"
        host = case.host.replace("{id}", mark)
        if host and request.values("host") != [host.encode()]:
            return f"arrived for {request.values('host')}, not {host}"
    for request, wanted in zip(whole, case.backend, strict=False):
        wanted = [word.replace("{id}", mark) for word in wanted]
        got = [request.method, request.target, str(len(request.body))][:len(wanted)]
        if got != wanted:
            return f"arrived as {' '.join(got)}, not {' '.join(wanted)}"
    return ""


def judge(case: Case, result: Result, arrived: list[Arrived], garbage: list[str], mark: str) -> list[str]:
    """Every objection; none: as claimed. The first is the most severe."""
    whole = [request for request in arrived if request.is_whole]
    objections = [*(f"garbage at the backend: {text}" for text in garbage), check_arrived(case, arrived, mark),
                  result.problem, check_answers(case, result, whole, mark)]
    return [objection for objection in objections if objection]
