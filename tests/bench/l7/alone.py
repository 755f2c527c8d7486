# SPDX-License-Identifier: Apache-2.0
"""What the programs share that have sluice alone before the backends: options, start, end, exit code."""
import argparse
from collections.abc import Callable
from pathlib import Path

from backends import start_backends
from box import Box, make_box
from load import WrongResponse
from sluice import Sluice

REPOSITORY = Path(__file__).resolve().parents[3]


def options(prog: str, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--sluice", default=str(REPOSITORY / "build/release/sluice"), help="the binary (%(default)s)")
    parser.add_argument("--io", choices=("auto", "io_uring", "epoll"), default="auto", help="the event loop")
    return parser


def run_alone(given: argparse.Namespace, kind: type[Sluice], work: Callable[[Sluice, Box], bool]) -> int:
    """The exit code: 0 if `work` finds all good."""
    binary = Path(given.sluice).resolve()
    if not binary.is_file():
        print(f"{binary} is not built")
        return 2
    box = make_box()
    proxy = kind(box, "192.0.2.11", str(binary), given.io)
    backends = start_backends(box)
    try:
        proxy.start()
        return 0 if work(proxy, box) else 1
    except (WrongResponse, RuntimeError) as error:
        print(f"failed: {error}")
        return 1
    finally:
        proxy.stop()
        for backend in backends:
            backend.stop()
