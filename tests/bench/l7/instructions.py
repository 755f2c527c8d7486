# SPDX-License-Identifier: Apache-2.0
"""What a request costs sluice itself: its own instructions, and how often they and its data would not be in the caches, counted by
valgrind's callgrind. The kernel's share is in neither.

No clock is asked: two builds can be compared by their figures, on a busy machine too. The last cache that is counted has 256 KiB: about
what the kernel leaves of the processor's own 512."""
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from alone import options, run_alone
from box import Box
from load import GRPC, PLAIN, TLS2, h2load
from sluice import Sluice

CACHES = ("--I1=32768,8,64", "--D1=32768,8,64", "--LL=262144,8,64")
WARM_UP = 2_000  # requests: pools and tables fill
KINDS = {
    "HTTP/1, 32 connections": PLAIN,
    "HTTP/1, 128 connections": replace(PLAIN, clients=128),
    "HTTP/2 and TLS to HTTP/1": TLS2,
    "HTTP/2 to HTTP/2, gRPC": GRPC,
}


class CountedSluice(Sluice):
    """Runs in callgrind, whose counts begin and end as it is told."""

    def command(self) -> list[str]:
        return ["valgrind", "--quiet", "--tool=callgrind", "--cache-sim=yes", *CACHES,
                f"--callgrind-out-file={self.profile()}", *super().command()]

    def profile(self) -> Path:
        return self.folder / "callgrind"

    def count(self, work: Callable[[], object]) -> dict[str, int]:
        """Callgrind's events during `work`: Ir, I1mr, D1mr, D1mw, ILmr, DLmr, DLmw and others (its manual names them)."""
        self._control("--zero")
        work()
        for old in self.folder.glob("callgrind.*"):
            old.unlink()
        self._control("--dump")
        lines = next(self.folder.glob("callgrind.*")).read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines if line.startswith(("events:", "summary:")))
        return dict(zip(found["events"].split(), map(int, found["summary"].split()), strict=True))

    def _control(self, what: str) -> None:
        pid = self.running().pid()
        done = subprocess.run(["callgrind_control", what, str(pid)], capture_output=True, text=True, check=False)
        if done.returncode != 0 or "OK." not in done.stdout:
            raise RuntimeError(f"callgrind_control {what}: {done.stdout}{done.stderr}")


def measure(proxy: Sluice, box: Box, requests: int) -> bool:
    assert isinstance(proxy, CountedSluice)
    print(f"{'a request':28}{'instructions':>13}{'L1i misses':>12}{'L1d misses':>12}{'256 KiB misses':>16}")
    for name, traffic in KINDS.items():
        h2load(proxy, traffic, box, WARM_UP)
        events = proxy.count(partial(h2load, proxy, traffic, box, requests))
        columns = (("Ir",), ("I1mr",), ("D1mr", "D1mw"), ("ILmr", "DLmr", "DLmw"))
        own, l1i, l1d, last = (sum(events[event] for event in column) / requests for column in columns)
        print(f"{name:28}{own:13,.0f}{l1i:12.1f}{l1d:12.1f}{last:16.1f}", flush=True)
    return True


def main() -> int:
    parser = options("bench instructions", __doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="of each kind (%(default)s)")
    given = parser.parse_args()
    if given.requests < 1:
        parser.error("one request at least is wanted")
    return run_alone(given, CountedSluice, lambda proxy, box: measure(proxy, box, given.requests))


if __name__ == "__main__":
    sys.exit(main())
