"""
The pytest plugin: every run has a PostgreSQL of its own, thrown away at the end, and settings that suit tests.

Loaded by ``-p flint.testing.plugin`` before Django's settings are read. The controlling process starts the server;
the workers of pytest-xdist find it in the environment. ``DATABASE_URL`` set beforehand names another server to use.
"""

import contextlib
import importlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from flint.postgres import Server

DEFAULTS = {
    "DJANGO_SETTINGS_MODULE": "flint.settings",
    "FLINT_DEBUG": "1",
    "FLINT_SECRET_KEY": "a-key-for-tests-that-nobody-else-would-ever-use",
    "FLINT_BROKER_URL": "memory://",
    "FLINT_HOSTS": "testserver,localhost,127.0.0.1",
    "FLINT_BASE_URL": "http://testserver",
}


PREFIX = "flint-tests-"


class ThrowAwayServer:
    """Lives as long as the run."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.server = Server(self.folder / "postgres", durable=False, max_connections=300)
        self.server.start()
        os.environ["DATABASE_URL"] = self.server.url

    def pytest_unconfigure(self):
        del os.environ["DATABASE_URL"]
        self.server.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    """Prepare the environment before pytest-django, in the same hook, reads the settings."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not os.environ.get("DATABASE_URL"):
        clear_after_the_killed()
        early_config.pluginmanager.register(ThrowAwayServer(), "flint-throw-away-server")


def pytest_addoption(parser):
    """Let a run leave processors out: ``--processors sandbox``."""
    parser.addoption("--processors", default="sandbox,faults,stripe", help="which of them tests are run against")


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """Load the fixtures when Django is set up, so that they may import models."""
    config.addinivalue_line("markers", "processors(*names): run against each of sandbox, faults and stripe")
    config.addinivalue_line("markers", "localstripe: installs a package of its own; left out unless asked for")
    if importlib.util.find_spec("flint.testing.fixtures"):
        config.pluginmanager.import_plugin("flint.testing.fixtures")
    if importlib.util.find_spec("flint.testing.emptying"):
        importlib.import_module("flint.testing.emptying").install()


def clear_after_the_killed() -> None:
    """Stop and delete the servers of runs that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Another run may end, and take its own away, while this one looks.
        with contextlib.suppress(FileNotFoundError):
            if folder.stat().st_uid == os.geteuid() and not is_alive(int(folder.name.split("-")[2])):
                Server(folder / "postgres").destroy()
                shutil.rmtree(folder, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Tell whether a process of ours has this number."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
