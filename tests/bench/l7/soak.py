# SPDX-License-Identifier: Apache-2.0
"""sluice for a long time at half of what it can do, while its routes change every second: no error, and memory that stays.

Each round is a time of HTTP/1 at a fixed rate (pacer.cc), then some requests by HTTP/2 over TLS and some handshakes. Every second a
route comes under a new path in the place of the one before; it must answer within a second, and the old one no more."""
import http.client
import os
import statistics
import sys
import threading
import time

from alone import options, run_alone
from box import HOST, PLAIN_PORT, Box
from load import PLAIN, TLS2, WrongResponse, h2load, handshakes, paced
from sluice import Sluice, http_routes, route_path, rule

ROUND_SECONDS = 20
GROWTH = 1.05  # of resident memory, last fifth over the first: above it is no longer flat
WARM_UP = 0.1  # of all rounds: pools and tables fill


class RouteChanges(threading.Thread):
    """A route that moves every second, until `stop`; `error` says what was wrong with it."""

    def __init__(self, proxy: Sluice) -> None:
        super().__init__(daemon=True)
        self.proxy = proxy
        self.count = 0
        self.slowest_ms = 0.0
        self.error = ""
        self._ended = threading.Event()

    def run(self) -> None:
        while not self.error and not self._ended.wait(1):
            self.count += 1
            try:
                self._change()
            except OSError as error:
                self.error = f"change {self.count}: {error}"

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _change(self) -> None:
        written = self.proxy.folder / "changing.yaml"
        written.write_text("".join(http_routes([rule(route_path(self.count % 90_000))])).replace("web-", "changing-"))
        os.replace(written, self.proxy.folder / "manifests" / "changing.yaml")
        since = time.monotonic()
        while (got := self._statuses()) != (200, 404):
            if time.monotonic() - since > 1:
                self.error = f"change {self.count}: the new path answers {got[0]} and the old one {got[1]} after 1 s"
                return
            time.sleep(0.005)
        self.slowest_ms = max(self.slowest_ms, 1000 * (time.monotonic() - since))

    def _statuses(self) -> tuple[int, int]:
        """Of the path of this change and of the one before."""
        connection = http.client.HTTPConnection(self.proxy.address, PLAIN_PORT, timeout=5)
        try:
            return self._status(connection, self.count), self._status(connection, self.count - 1)
        finally:
            connection.close()

    @staticmethod
    def _status(connection: http.client.HTTPConnection, number: int) -> int:
        connection.request("GET", route_path(number % 90_000), headers={"Host": HOST})
        answer = connection.getresponse()
        answer.read()
        return answer.status


class SoakSluice(Sluice):
    """Only known paths lead to the backend, so that a route that is gone is seen to be."""

    def default_rule(self) -> str:
        return rule(PLAIN.path)


def one_round(proxy: Sluice, box: Box, rate: int) -> float:
    """Returns p99 in microseconds; all that was asked for has been answered rightly."""
    seen = paced(proxy, PLAIN, box, rate, ROUND_SECONDS)
    if seen.answered != rate * ROUND_SECONDS:
        raise WrongResponse(f"{rate * ROUND_SECONDS - seen.answered} requests were not answered")
    h2load(proxy, TLS2, box, 4000)
    handshakes(proxy, box, 100)
    return seen.p99_us


def soak(proxy: Sluice, box: Box, minutes: float) -> bool:
    most = [h2load(proxy, PLAIN, box, 100_000) for _ in range(3)]
    rate = int(statistics.median(load.requests / load.seconds for load in most) / 2)
    print(f"{rate} requests/s, half of the most, for {minutes:g} minutes; a route changes every second")
    changes = RouteChanges(proxy)
    changes.start()
    rss: list[int] = []
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        p99 = one_round(proxy, box, rate)
        rss.append(proxy.running().rss_bytes())
        if changes.error:
            raise WrongResponse(changes.error)
        print(f"{(end - time.monotonic()) / 60:5.1f} min left: resident {rss[-1] / 1e6:.1f} MB, p99 {p99 / 1000:.1f} ms, "
              f"{changes.count} changes", flush=True)
    changes.stop()
    return judge(rss, changes)


def judge(rss: list[int], changes: RouteChanges) -> bool:
    settled = rss[int(len(rss) * WARM_UP):]
    fifth = max(len(settled) // 5, 1)
    first, last = statistics.median(settled[:fifth]), statistics.median(settled[-fifth:])
    print(f"resident memory {first / 1e6:.2f} MB in the first fifth, {last / 1e6:.2f} MB in the last: {last / first:.3f} "
          f"(at most {GROWTH}); {changes.count} changes, slowest {changes.slowest_ms:.0f} ms; no error")
    return last <= first * GROWTH


def main() -> int:
    parser = options("bench soak", __doc__)
    parser.add_argument("--minutes", type=float, default=60, help="(%(default)g)")
    given = parser.parse_args()
    if given.minutes <= 0:
        parser.error("a time above 0 is wanted")
    return run_alone(given, SoakSluice, lambda proxy, box: soak(proxy, box, given.minutes))


if __name__ == "__main__":
    sys.exit(main())
