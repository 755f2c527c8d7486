# SPDX-License-Identifier: Apache-2.0
"""Options, order, exit code. Started by `run`, inside the namespaces."""
import argparse
import json
import sys
from pathlib import Path
from typing import Any

import report
from backends import start_backends
from box import make_box
from cases import CASES, PEERS, Lab, Options

REPOSITORY = Path(__file__).resolve().parents[3]


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench l7", description="sluice, HAProxy, nginx and Envoy side by side, as "
                                     "HTTP proxies on one CPU. Exit code 1 if any response was wrong.")
    parser.add_argument("--case", action="append", choices=CASES, help="may be repeated; default: all of them")
    parser.add_argument("--rounds", type=int, default=5, help="how often each proxy has its turn (%(default)s)")
    parser.add_argument("--requests", type=int, default=40_000, help="in a turn with small bodies (%(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS),
                        help="of %(default)s, sluice-ring, sluice-epoll; others are compared with the first")
    parser.add_argument("--sluice", default=str(REPOSITORY / "build/release/sluice"), help="the binary (%(default)s)")
    parser.add_argument("--io", choices=("auto", "io_uring", "epoll"), default="auto", help="sluice's event loop")
    parser.add_argument("--json", type=Path, help="where the figures are written too")
    options = parser.parse_args(argv)
    options.peers = tuple(options.peers.split(","))
    if unknown := set(options.peers) - {*PEERS, "sluice-ring", "sluice-epoll"}:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    if options.rounds < 1 or options.requests < 1000:
        parser.error("at least 1 round and 1,000 requests")
    if "sluice" in "".join(options.peers) and not Path(options.sluice).is_file():
        parser.error(f"{options.sluice} is not built")
    return options


def measure(lab: Lab, cases: list[str]) -> tuple[list[dict[str, Any]], int]:
    """Prints each point as it is done. Returns them for JSON, and how many participants answered wrongly."""
    points, wrong = [], 0
    for case in cases:
        for point in CASES[case](lab):
            point.measure()
            report.print_point(point)
            sys.stdout.flush()
            points.append(report.as_json(point))
            wrong += len(point.wrong)
    return points, wrong


def main() -> int:
    given = parse(sys.argv[1:])
    box = make_box()
    lab = Lab(box, Options(str(Path(given.sluice).resolve()), given.io, given.peers, given.rounds, given.requests))
    backends = start_backends(box)
    try:
        found = report.conditions(lab)
        report.print_conditions(found)
        points, wrong = measure(lab, given.case or list(CASES))
    finally:
        lab.stop()
        for backend in backends:
            backend.stop()
    if given.json:
        given.json.write_text(json.dumps({"conditions": found, "points": points}, indent=1) + "\n")
    skipped = sum(len(point["skipped"]) for point in points)
    print(f"\n{len(points)} points, {skipped} skipped, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
