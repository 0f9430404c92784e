"""The whole product on one machine: what `manage.py up` puts together, in the order in which it does."""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from flint import crew
from flint.home import Home

LOOPBACK = "127.0.0.1"
READY_SECONDS = 60


class CannotRun(RuntimeError):
    """This install cannot be started; the message says what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `up`."""
    port = int(os.environ.get("FLINT_PORT", 8000))
    parser.add_argument("--port", type=int, default=port, help="port on this machine; 0 for any free one")
    parser.add_argument("--data", metavar="DIR", help="folder to keep everything in; default: %(default)s")
    parser.add_argument("--fresh", action="store_true", help="start over: delete the embedded database first")
    parser.add_argument("--no-seed", action="store_true", help="no demo merchant")
    parser.set_defaults(data=str(Home.of_environment().path))


def prepare_environment(arguments: list[str]) -> None:
    """Decide what the settings, which are not read yet, and every process started later must agree on."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    options, _ = parser.parse_known_args(arguments)
    home = Home(Path(options.data))
    home.create()
    port = options.port or free_port()
    os.environ["FLINT_DATA"] = str(home.path)
    os.environ["FLINT_PORT"] = str(port)
    os.environ.setdefault("FLINT_BASE_URL", f"http://localhost:{port}")
    os.environ.setdefault("FLINT_INTERNAL_URL", f"http://{LOOPBACK}:{port}")
    os.environ.setdefault("FLINT_SECRET_KEY", home.secret_key)
    os.environ.setdefault("FLINT_METRICS_DIR", str(home.path / "metrics"))
    os.environ.setdefault("FLINT_HOSTS", "localhost,127.0.0.1,[::1]")


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def check_port(port: int) -> None:
    """
    Make sure that we can listen on a port.

    :raises CannotRun: if somebody else does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CannotRun(f"Port {port} cannot be used ({error.strerror}). Choose another one: --port 0") from None


class Crew:
    """The crew's own process, seen from `up`."""

    def __init__(self, home: Home, *, port: int, is_embedded: bool, broker: str):
        self.home = home
        self.orders = {
            "home": str(home.path),
            "stop_database": is_embedded,
            "members": {"web": web(port), "worker": worker(broker), "beat": celery("beat", "--pidfile=")},
        }
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C in the terminal is for `up`, which then lets go of the pipe."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flint.crew"],
            stdin=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
            env={**os.environ, crew.MARK: str(self.home.path)},
            start_new_session=True,
        )
        self.process.stdin.write(json.dumps(self.orders) + "\n")
        self.process.stdin.flush()

    def has_ended(self) -> bool:
        """Tell whether it is gone without having been asked."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """Close the pipe, and wait until the crew is gone with all its members."""
        if self.process is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(crew.GRACE_SECONDS + 15)


def web(port: int) -> list[str]:
    """The web server's command."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--http", "1"),
        *("--host", LOOPBACK, "--port", str(port), "--workers", "2", "--blocking-threads", "4"),
        *("--respawn-failed-workers", "--workers-kill-timeout", "10", "flint.wsgi:application"),
    ]


def worker(broker: str) -> list[str]:
    """The worker's command: threads when PostgreSQL is the broker, processes with any other one."""
    pool = ["-P", "threads", "-c", "4"] if broker == "postgresql" else ["-P", "prefork", "-c", "2"]
    return celery("worker", *pool, "--without-gossip", "--without-mingle", "--without-heartbeat")


def celery(*arguments: str) -> list[str]:
    """A Celery command of this install."""
    return [sys.executable, "-m", "celery", "--quiet", "-A", "flint", *arguments]


def wait_until_ready(port: int, watch: Crew) -> None:
    """
    Wait until the web server says that it and all it needs are there.

    :raises CannotRun: if it does not in time; with the last answer and the end of its log.
    """
    answer = "no answer"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and not watch.has_ended():
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            answer = error.read(500).decode(errors="replace")
        except OSError:
            pass
        time.sleep(0.05)
    log = watch.home.logs / "web.log"
    end = "\n".join(log.read_text(errors="replace").splitlines()[-12:]) if log.exists() else ""
    raise CannotRun(f"The web server is not ready: {answer}\n{end}")
