# SPDX-License-Identifier: Apache-2.0
"""Processes on a chosen CPU: start, wait for a port, stop, and what the kernel accounts to them."""
import os
import socket
import subprocess
import time
from pathlib import Path


class Process:
    """One program and its children. Its output goes to a log file, whose end is shown when it fails."""

    def __init__(self, name: str, argv: list[str], cpu: int, log: Path) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as out:
            self._child = subprocess.Popen(["taskset", "-c", str(cpu), *argv], stdin=subprocess.DEVNULL, stdout=out,
                                           stderr=subprocess.STDOUT)

    def pid(self) -> int:
        return self._child.pid  # taskset has become the program

    def stop(self) -> None:
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def check_alive(self) -> None:
        if self._child.poll() is not None:
            tail = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} ended with {self._child.returncode}:\n{tail}")

    def wait_for(self, address: str, port: int, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while True:
            self.check_alive()
            try:
                socket.create_connection((address, port), 1).close()
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not listen on {address}:{port}: {error}") from error
                time.sleep(0.05)

    def cpu_ns(self) -> int:
        """User and system time of all threads, in nanoseconds: the first figure of schedstat."""
        self.check_alive()
        total = 0
        for pid in self._tree():
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def rss_bytes(self) -> int:
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._tree())
        return pages * os.sysconf("SC_PAGE_SIZE")

    def forget_peak(self) -> None:
        for pid in self._tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc_pid_clear_refs(5): the peak becomes what is resident now

    def peak_rss_bytes(self) -> int:
        """The most that was resident since forget_peak; the kernel keeps it, so nobody has to look meanwhile."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in self._tree()]
        return sum(int(text.partition("VmHWM:")[2].split()[0]) for text in status) * 1024

    def _tree(self) -> list[int]:
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:  # the name in parentheses may hold spaces
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue  # it ended meanwhile
        tree = [self._child.pid]
        for pid in tree:  # grows while it is walked
            tree += [child for child, parent in parents.items() if parent == pid]
        return tree
