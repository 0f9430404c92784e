"""
The crew: web server, worker and beat of one machine, kept running until the crew's standard input ends.

`up` starts ``python -m flint.crew`` and holds the other end of that pipe. However `up` ends, Ctrl-C or ``kill -9``, the
kernel closes the pipe, and the crew stops its members, then the embedded database. So there is one way to shut down.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from flint.home import Home

MARK = "FLINT_CREW"
GRACE_SECONDS = 15
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30
HEALTHY_SECONDS = 60


class Member:
    """One process of the crew, started again when it ends; the pause doubles while it keeps ending soon."""

    def __init__(self, name: str, command: list[str], log: Path):
        self.name, self.command, self.log = name, command, log
        self.process: subprocess.Popen | None = None
        self.pause = SHORTEST_PAUSE
        self.started_at = self.due_at = 0.0

    def tend(self) -> None:
        """Start the process if it is due; take note if it has ended."""
        now = time.monotonic()
        if self.process is None and now >= self.due_at:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
                )
            self.started_at = now
        elif self.process is not None and self.process.poll() is not None:
            self.kill()
            if now - self.started_at > HEALTHY_SECONDS:
                self.pause = SHORTEST_PAUSE
            say(f"{self.name} ended ({describe(self.process.returncode)}), again in {self.pause:g} s; see {self.log}")
            self.process, self.due_at = None, now + self.pause
            self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def ask_to_stop(self) -> None:
        """Tell the process to finish what it is doing and end."""
        if self.process is not None:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for the process to end, and end what is left of its group."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(deadline - time.monotonic(), 0))
            self.kill()
            self.process.wait()

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


def main() -> None:
    """Read the crew list, one JSON object in one line, and keep to it until the input ends."""
    orders = json.loads(sys.stdin.readline())
    home = Home(Path(orders["home"]))
    members = [Member(name, command, home.logs / f"{name}.log") for name, command in orders["members"].items()]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    while not stop.wait(0.2):
        for member in members:
            member.tend()
    home.ready.unlink(missing_ok=True)
    deadline = time.monotonic() + GRACE_SECONDS
    for member in members:
        member.ask_to_stop()
    for member in members:
        member.wait(deadline)
    if orders["stop_database"]:
        home.database.stop()


def strays(home: Home) -> list[int]:
    """Return the processes of a crew of this folder, wherever they came from; found by a mark in their environment."""
    mark = f"{MARK}={home.path}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def clear(home: Home, *, grace: float = GRACE_SECONDS) -> None:
    """End what is left of a crew: ask first, then make it. Returns when nothing is left."""
    deadline = time.monotonic() + grace
    asked: set[int] = set()
    while pids := strays(home):
        for pid in pids:
            is_late = time.monotonic() > deadline
            with contextlib.suppress(ProcessLookupError):
                if is_late or pid not in asked:
                    os.kill(pid, signal.SIGKILL if is_late else signal.SIGTERM)
            asked.add(pid)
        time.sleep(0.1)


def describe(code: int) -> str:
    """Say how a process ended."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def say(text: str) -> None:
    """Print a line for whoever watches, if anybody does."""
    with contextlib.suppress(OSError):
        print(f"  {text}", flush=True)


if __name__ == "__main__":
    main()
