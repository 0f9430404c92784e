"""The folder on this machine where `manage.py up` keeps the embedded database, the secret key and its logs."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flint.postgres import Server

LARGEST_LOG = 20 * 1024 * 1024


class AlreadyRunning(RuntimeError):
    """Another `up` uses this folder."""


class Home:
    """A data folder. Making one touches nothing; only :meth:`create` writes."""

    def __init__(self, path: Path):
        self.path = Path(path).expanduser().absolute()
        self.database = Server(self.path / "postgres")
        self.logs = self.path / "logs"
        self.ready = self.path / "ready.json"
        self.seed = self.path / "seed.json"

    @classmethod
    def of_environment(cls) -> "Home":
        """Return the folder that ``FLINT_DATA`` names, or ``flint`` under the user's data home."""
        data_home = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
        return cls(Path(os.environ.get("FLINT_DATA") or Path(data_home) / "flint"))

    @property
    def secret_key(self) -> str:
        """The key kept here, or an empty text."""
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return (self.path / "secret-key").read_text().strip()
        return ""

    def create(self) -> None:
        """Make the folder and its secret key, unless they are there."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self.logs.mkdir(exist_ok=True)
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LARGEST_LOG:
                log.replace(log.with_suffix(".log.1"))
        if not self.secret_key:
            self._write("secret-key", secrets.token_urlsafe(50))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        Hold the folder for this process; the kernel lets go of it however the process ends.

        :raises AlreadyRunning: if another process holds it.
        """
        with (self.path / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise AlreadyRunning(f"Flint runs already on {self.path} (process {file.read().strip()}).") from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def write(self, file: Path, facts: dict) -> None:
        """Keep facts in one of the folder's files, for its owner only."""
        self._write(file.name, json.dumps(facts, indent=2) + "\n")

    def start_over(self) -> None:
        """Delete the embedded database and all that was learned from it; the secret key stays."""
        self.database.destroy()
        shutil.rmtree(self.logs, ignore_errors=True)
        for file in (self.ready, self.seed):
            file.unlink(missing_ok=True)
        self.logs.mkdir()

    def _write(self, name: str, text: str) -> None:
        draft = self.path / f"{name}.new"
        draft.touch(mode=0o600)
        draft.chmod(0o600)
        draft.write_text(text)
        draft.replace(self.path / name)
