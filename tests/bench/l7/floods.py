# SPDX-License-Identifier: Apache-2.0
"""What another client notices of a flood: its p99 with and without, in turn, and the memory that the flood takes.

A p99 is the lower quartile of those of windows of 250 ms: the host of a virtual machine stops it for some milliseconds
now and then, which is most of a p99 over seconds and fills the greater part of the windows at bad times, while a flood
does what it does in every one. What happens in less than three quarters of the windows is not seen; the ratio of the
medians of whole rounds, which sees it and the host, stands beside it. The attackers share the load's processor at the
lowest priority: they take what the other client leaves. Exit code 1 if a p99 is more than twice that without the flood,
memory exceeds its bound, or a request of the other client fails."""
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from alone import options, run_alone
from attacker import FLOODS
from box import PLAIN_PORT, Box
from load import PLAIN, Paced, WrongResponse, check, paced
from sluice import Sluice

RATE = 2000  # requests/s of the other client
SECONDS = 2
MOST_RATIO = 2.0
MOST_MEMORY = 64e6  # bytes, docs/limits.md


class Flooding:
    """A flood for the length of a block; `sent` afterwards says what it did, `memory` the most that the proxy grew.

    Nothing but the attackers runs beside the other client that does not without them: what looks at the proxy ten times a second would be
    that client's p99."""

    def __init__(self, flood: str, proxy: Sluice) -> None:
        self.sent: dict[str, int] = {}
        self.memory = 0
        self._proxy = proxy.running()
        self._proxy.forget_peak()
        self._rss = self._proxy.rss_bytes()
        argv = [sys.executable, "-B", str(Path(__file__).with_name("attacker.py")), flood, proxy.address, str(PLAIN_PORT)]
        self._child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)))

    def __enter__(self) -> "Flooding":
        assert self._child.stdout is not None
        if self._child.stdout.readline() != "begun\n":
            raise RuntimeError("the attacker did not begin")
        time.sleep(1)  # what is slow about it begins to tell
        return self

    def __exit__(self, *_: object) -> None:
        self.memory = self._proxy.peak_rss_bytes() - self._rss
        self._child.send_signal(signal.SIGTERM)
        out, _ = self._child.communicate(timeout=30)
        self.sent = json.loads(out)


def other_client(proxy: Sluice, box: Box) -> Paced:
    seen = paced(proxy, PLAIN, box, RATE, SECONDS)
    if seen.answered != RATE * SECONDS:
        raise WrongResponse(f"{RATE * SECONDS - seen.answered} requests of the other client were not answered")
    return seen


def lower_quartile_us(rounds: list[Paced]) -> float:
    """Of the p99 of all windows."""
    return statistics.quantiles([p99 for each in rounds for p99 in each.p99_of_windows_us], n=4)[0]


def median_us(rounds: list[Paced]) -> float:
    return statistics.median(each.p99_us for each in rounds)


def measure(flood: str, proxy: Sluice, box: Box, rounds: int) -> bool:
    """Prints a row; whether it is within the bounds."""
    quiet: list[Paced] = []
    flooded: list[Paced] = []
    memory, sent = 0, {"connections": 0, "closed": 0, "bytes": 0}
    for _ in range(rounds):
        quiet.append(other_client(proxy, box))
        with Flooding(flood, proxy) as attack:
            try:
                flooded.append(other_client(proxy, box))
            except WrongResponse as error:
                print(f"{flood}: {error}")
                return False
        memory = max(memory, attack.memory)
        sent = {name: count + attack.sent[name] for name, count in sent.items()}
    quiet_us, flooded_us = lower_quartile_us(quiet), lower_quartile_us(flooded)
    ratio = flooded_us / quiet_us
    good = ratio <= MOST_RATIO and memory <= MOST_MEMORY
    print(f"{flood:16}{quiet_us:10,.0f}{flooded_us:10,.0f}{ratio:8.2f}{median_us(flooded) / median_us(quiet):10.2f}"
          f"{memory / 1e6:10.1f}{sent['connections']:12,}{sent['closed']:9,}{sent['bytes'] / 1e6:9,.1f}  {'' if good else 'EXCEEDS'}", flush=True)
    return good


def main() -> int:
    parser = options("bench floods", __doc__)
    parser.add_argument("--flood", action="append", choices=FLOODS, help="may be repeated; default: all")
    parser.add_argument("--rounds", type=int, default=6, help="(%(default)s)")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("at least one round is wanted")

    def work(proxy: Sluice, box: Box) -> bool:
        check(proxy, PLAIN, box)
        other_client(proxy, box)
        print(f"{'':16}{'p99 us':>10}{'flooded':>10}{'ratio':>8}{'of rounds':>10}{'MB more':>10}{'connections':>12}"
              f"{'closed':>9}{'MB sent':>9}")
        return all([measure(flood, proxy, box, given.rounds) for flood in given.flood or FLOODS])

    return run_alone(given, Sluice, work)


if __name__ == "__main__":
    sys.exit(main())
