"""`manage.py up` as a stranger meets it: real processes on a folder of their own, ended in every way there is."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from flint import crew, running
from flint.home import Home

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py"), "up"]
KEYS = {"base_url", "pid", "api_key", "environment_id", "merchant_id", "other_api_key", "staff", "invoice_url"}


MADE = """
    SELECT (SELECT system_identifier FROM pg_control_system()), (SELECT max(applied) FROM django_migrations),
           (SELECT max(created_at) FROM merchants_apikey), (SELECT max(created_at) FROM orders_order)
"""
"""What only a first start makes: the database itself, its tables, and the demo merchant with its orders."""

PATIENCE = 180
"""Seconds that anything may take on a busy machine. Nothing waits so long that goes well."""


def until(condition: Callable, what: str, *, seconds: float = PATIENCE):
    """Return the condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value


class Install:
    """One data folder, and the `up` that runs on it."""

    def __init__(self, folder: Path):
        self.home = Home(folder)
        self.port = running.free_port()
        self.output = folder.with_suffix(".out")
        self.up: subprocess.Popen | None = None
        self.made: list[tuple] = []

    def command(self, *options: str) -> list[str]:
        return [*MANAGE, "--port", str(self.port), "--data", str(self.home.path), *options]

    def start(self, *options: str) -> None:
        """Start it, and wait until it says that it is ready."""
        self.home.ready.unlink(missing_ok=True)
        with self.output.open("wb") as output:
            self.up = subprocess.Popen(
                self.command(*options), stdout=output, stderr=output, env=bare_environment(), start_new_session=True
            )
        until(lambda: self.home.ready.exists() or self.up.poll() is not None, "ready")
        assert self.up.poll() is None, self.output.read_text()

    def refused(self, *options: str, **environment: str) -> subprocess.CompletedProcess:
        """Start it where it cannot run, and return how it ended."""
        environment = bare_environment() | environment
        return subprocess.run(self.command(*options), capture_output=True, text=True, env=environment, timeout=PATIENCE)

    def end(self, how: signal.Signals) -> int:
        self.up.send_signal(how)
        return self.up.wait(PATIENCE)

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
                return response.status
        except OSError:
            return 0

    def run(self, statement: str) -> list[tuple]:
        with psycopg.connect(self.home.database.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def processes(self) -> dict[int, str]:
        """Return what runs on this folder: the crew by its mark, PostgreSQL by its folder."""
        database = [self.home.database._pid()] if self.home.database.is_running() else []
        return {pid: command_line(pid) for pid in [*crew.strays(self.home), *database]}

    def pid_of(self, word: str) -> int:
        """Return the oldest process whose command has a word in it."""
        return until(lambda: min((pid for pid, line in self.processes().items() if word in line), default=0), word)

    def said_again(self) -> int:
        """Count how often it has said that it starts something again."""
        return self.output.read_text().count("again")

    def has_ended(self) -> bool:
        return not self.processes() and self.get("/healthz") == 0


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def bare_environment() -> dict[str, str]:
    """The environment of somebody who has set nothing up."""
    ours = ("FLINT_", "DATABASE_", "REDIS_", "DJANGO_", "PYTEST_", "COV_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="module")
def install(tmp_path_factory):
    install = Install(tmp_path_factory.mktemp("up") / "home")
    yield install
    if install.up is not None and install.up.poll() is None:
        install.end(signal.SIGKILL)
    crew.clear(install.home, grace=0)
    install.home.database.destroy()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
class TestOneFolder:
    """One life of a data folder, told in order."""

    def test_the_first_start_serves_and_says_where(self, install):
        install.start()
        install.made = install.run(MADE)
        assert install.get("/healthz") == 200
        assert install.get("/readyz") == 200
        ready = json.loads(install.home.ready.read_text())
        assert ready["pid"] == install.up.pid
        assert ready["base_url"] == f"http://localhost:{install.port}"
        assert set(ready) - {"webhook_secret"} == KEYS
        assert set(ready["staff"]) == {"owner", "support", "finance"}
        assert stat.S_IMODE(install.home.ready.stat().st_mode) == 0o600
        said = install.output.read_text()
        assert f"{ready['base_url']}/v1" in said
        assert f"{ready['base_url']}/admin/" in said
        assert f"{ready['base_url']}/v1/openapi.json" in said
        assert said.count("curl -s ") == 3
        assert ready["api_key"] in said
        assert install.home.secret_key not in said
        assert "order.created" not in said, "the demo merchant's sales are no news"

    def test_a_second_one_on_the_same_folder_is_refused_and_the_first_goes_on(self, install):
        second = install.refused()
        assert second.returncode == 1
        assert f"(process {install.up.pid})" in second.stderr
        assert install.get("/readyz") == 200

    @pytest.mark.parametrize("part", ["granian", "celery --quiet -A flint worker", "beat", "flint.crew", "postgres"])
    def test_a_part_that_is_killed_comes_back(self, install, part):
        killed, said = install.pid_of(part), install.said_again()
        os.kill(killed, signal.SIGKILL)
        until(lambda: install.said_again() > said, f"up says that {part} ended")
        until(lambda: install.pid_of(part) != killed and install.get("/readyz") == 200, f"{part} is back")

    def test_ctrl_c_leaves_nothing_behind_but_the_data(self, install):
        install.run("CREATE TABLE kept AS SELECT 1 AS n")
        assert install.end(signal.SIGINT) == 0
        assert install.has_ended(), install.processes()
        assert not install.home.ready.exists()

    def test_a_later_start_makes_nothing_anew_and_finds_the_data_and_the_same_key(self, install):
        install.start()
        assert install.run(MADE) == install.made
        assert install.run("SELECT n FROM kept") == [(1,)]
        assert json.loads(install.home.ready.read_text())["api_key"] in install.output.read_text()

    def test_after_kill_9_everything_stops_by_itself(self, install):
        install.end(signal.SIGKILL)
        until(install.has_ended, "the crew and the database noticed")
        assert not install.home.ready.exists()

    def test_kill_9_of_everything_at_once_loses_nothing_and_the_next_start_works_at_once(self, install):
        install.start()
        install.run("INSERT INTO kept VALUES (2)")
        for pid in [install.up.pid, *install.processes()]:
            os.kill(pid, signal.SIGKILL)
        install.up.wait()

        install.start()

        assert install.run("SELECT n FROM kept ORDER BY n") == [(1,), (2,)]

    def test_a_start_right_after_kill_9_takes_over_from_what_is_still_stopping(self, install):
        install.end(signal.SIGKILL)
        install.start()
        assert install.get("/readyz") == 200
        assert install.run("SELECT count(*) FROM kept") == [(2,)]

    def test_sigterm_stops_it_like_ctrl_c(self, install):
        assert install.end(signal.SIGTERM) == 0
        assert install.has_ended(), install.processes()

    def test_fresh_starts_over_without_a_demo_merchant_if_told_so(self, install):
        install.start("--fresh", "--no-seed")
        assert install.run("SELECT to_regclass('kept')") == [(None,)]
        assert set(json.loads(install.home.ready.read_text())) == {"base_url", "pid"}
        assert install.end(signal.SIGINT) == 0


def test_a_port_in_use_is_refused_with_a_word_on_what_to_do(tmp_path):
    install = Install(tmp_path / "home")
    with running.socket.create_server(("127.0.0.1", install.port)):
        done = install.refused()
    assert done.returncode == 1
    assert f"Port {install.port} cannot be used" in done.stderr
    assert "--port 0" in done.stderr


def test_fresh_refuses_to_delete_a_database_that_is_not_ours(tmp_path):
    install = Install(tmp_path / "home")
    done = install.refused("--fresh", DATABASE_URL="postgresql://flint@127.0.0.1:1/flint")
    assert done.returncode == 1
    assert "--fresh deletes the embedded database only" in done.stderr


def test_any_free_port_is_found():
    assert running.free_port() != running.free_port()
