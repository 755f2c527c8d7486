# SPDX-License-Identifier: Apache-2.0
"""Tables for people, JSON for machines."""
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

from cases import Lab, Point

COLUMNS = {"cpu_us": ("CPU us/{unit}", 1), "per_second": ("{unit}s/s", 0), "p50_us": ("p50 us", 0),
           "p99_us": ("p99 us", 0), "p999_us": ("p99.9 us", 0), "idle_bytes": ("bytes/connection", 0)}


def conditions(lab: Lab) -> dict[str, Any]:
    cpu_models = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")]
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return {"cpu": cpu_models[0] if cpu_models else platform.machine(), "kernel": platform.release(),
            "congestion_control": congestion, "proxy_cpu": lab.box.proxy_cpu, "load_and_backend_cpu": lab.box.load_cpu,
            "rounds": lab.options.rounds, "requests": lab.options.requests, "sluice_io": lab.options.io,
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "load_average_at_start": os.getloadavg()[0],
            "versions": {name: lab.peer(name).version() for name in lab.options.peers}}


def print_conditions(found: dict[str, Any]) -> None:
    print(f"{found['cpu']}, kernel {found['kernel']}, TCP {found['congestion_control']}, "
          f"load average {found['load_average_at_start']:.1f}")
    print(f"proxy on CPU {found['proxy_cpu']}, one worker; load and backend together on CPU "
          f"{found['load_and_backend_cpu']}; one namespace, loopback link")
    print(f"{found['rounds']} rounds in turn, {found['requests']} requests; medians (least to most)")
    for name, version in found["versions"].items():
        print(f"  {name}: {version}")


def ratio(point: Point, name: str, metric: str) -> float | None:
    """The first participant's median over this one's."""
    first = next(iter(point.values), None)
    ours, theirs = (point.median(who, metric) for who in (first or "", name))
    return ours / theirs if ours is not None and theirs and name != first else None


def metrics_of(point: Point) -> list[str]:
    seen = {metric for rounds in point.values.values() for metrics in rounds for metric in metrics}
    return [metric for metric in COLUMNS if metric in seen]


def cell(point: Point, name: str, metric: str) -> str:
    values, digits = [found[metric] for found in point.values[name]], COLUMNS[metric][1]
    spread = f" ({min(values):,.{digits}f}-{max(values):,.{digits}f})" if len(values) > 1 else ""
    return f"{statistics.median(values):,.{digits}f}{spread}"


def table(point: Point) -> list[list[str]]:
    metrics = metrics_of(point)
    compared = [metric for metric in metrics if metric in ("cpu_us", "idle_bytes", "p99_us")]
    if len(point.values) < 2:
        compared = []
    first = next(iter(point.values))
    header = ["", *(COLUMNS[metric][0].format(unit=point.unit) for metric in metrics)]
    header += [f"{first} / it" if metric != "p99_us" else "p99 ratio" for metric in compared]
    rows = [header]
    for name in point.values:
        ratios = (ratio(point, name, metric) for metric in compared)
        rows.append([name, *(cell(point, name, metric) for metric in metrics),
                     *("" if value is None else f"{value:.2f}" for value in ratios)])
    return rows


def print_point(point: Point) -> None:
    print(f"\n{point.case}: {point.title}")
    rows = table(point) if point.values else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + row[0].ljust(widths[0]) + "".join("  " + text.rjust(width) for text, width
                                                       in zip(row[1:], widths[1:], strict=True)))
    for name, reason in point.skipped.items():
        print(f"  {name} SKIPPED: {reason}")
    for name, reason in point.wrong.items():
        print(f"  {name} WRONG: {reason}")


def as_json(point: Point) -> dict[str, Any]:
    participants = {}
    for name, rounds in point.values.items():
        participants[name] = {metric: {
            "median": point.median(name, metric), "values": [found[metric] for found in rounds],
            "first_over_this": ratio(point, name, metric)} for metric in metrics_of(point)}
    return {"case": point.case, "title": point.title, "unit": point.unit, "participants": participants,
            "skipped": point.skipped, "wrong": point.wrong}
