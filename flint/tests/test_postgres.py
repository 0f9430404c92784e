"""The embedded PostgreSQL: real servers, killed for real."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from flint import postgres
from flint.postgres import PostgresError, Server


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "server", durable=False)
    server.start()
    yield server
    server.destroy()


def run(server: Server, statement: str) -> list[tuple]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_server_can_be_reached_by_its_socket_only(server):
    assert run(server, "SHOW listen_addresses") == [("",)]
    assert run(server, "SHOW server_encoding") == [("UTF8",)]
    assert int(server.socket_folder.stat().st_mode & 0o777) == 0o700
    assert int(run(server, "SHOW server_version_num")[0][0]) >= 150_000


def test_data_survives_a_stop(server):
    run(server, "CREATE TABLE kept AS SELECT 1 AS n")
    server.stop()
    assert not server.is_running()

    server.start()

    assert run(server, "SELECT n FROM kept") == [(1,)]


def test_a_running_server_is_taken_over_and_can_be_stopped_by_who_did_not_start_it(server):
    other = Server(server.data)
    pid = server._pid()

    other.start()
    assert other._pid() == pid

    other.stop()
    assert not server.is_running()


def test_a_killed_server_loses_nothing_and_does_not_block_the_next_start(tmp_path):
    server = Server(tmp_path / "server")
    server.start()
    run(server, "CREATE TABLE kept AS SELECT 1 AS n")
    busy = psycopg.connect(server.url)
    busy.execute("INSERT INTO kept VALUES (2)")
    os.kill(server._pid(), signal.SIGKILL)

    Server(server.data).start()

    busy.close()
    assert run(server, "SELECT n FROM kept") == [(1,)]
    server.destroy()


def test_a_process_number_that_is_in_use_again_does_not_block_the_next_start(server):
    server.stop()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        stale = f"{stranger.pid}\n{server.cluster}\n0\n5432\n{server.socket_folder}\n\n\nready\n"
        (server.cluster / "postmaster.pid").write_text(stale)
        (server.socket_folder / f"{postgres.SOCKET_NAME}.lock").write_text(stale)
        assert not server.is_running()

        server.start()

        assert run(server, "SELECT 1") == [(1,)]
        server.stop()
        assert stranger.poll() is None, "stop() must not signal somebody else's process"
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_set_up_is_begun_again(tmp_path):
    server = Server(tmp_path / "server", durable=False)
    draft = server.data / "cluster.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")

    server.start()

    assert run(server, "SELECT 1") == [(1,)]
    server.destroy()


@pytest.mark.parametrize("name", ["x" * 120, "with a space and an 'accent é'"])
def test_a_folder_that_no_socket_address_can_name_gets_a_short_one_elsewhere(tmp_path, name):
    server = Server(tmp_path / name, durable=False)
    assert server.data not in server.socket_folder.parents

    server.start()

    assert run(server, "SELECT 1") == [(1,)]
    server.destroy()
    assert not server.socket_folder.exists()


def test_a_short_folder_that_somebody_made_first_is_refused(tmp_path):
    server = Server(tmp_path / ("x" * 120), durable=False)
    elsewhere = tmp_path / "trap"
    elsewhere.mkdir()
    server.socket_folder.symlink_to(elsewhere)
    try:
        with pytest.raises(PostgresError, match="somebody else"):
            server.start()
    finally:
        server.socket_folder.unlink()


def test_data_of_another_version_is_refused_with_both_versions(server):
    server.stop()
    (server.cluster / "PG_VERSION").write_text("12\n")

    with pytest.raises(PostgresError, match=r"PostgreSQL 12, but the server here is \d+"):
        server.start()


def test_a_server_that_cannot_start_says_why(server):
    server.stop()
    (server.cluster / "postgresql.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(PostgresError, match="no_such_setting"):
        server.start()


def test_a_durable_server_waits_for_the_disk(tmp_path):
    server = Server(tmp_path / "server")
    server.start()
    values = run(server, "SELECT current_setting('fsync'), current_setting('synchronous_commit')")
    server.destroy()
    assert values == [("on", "on")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run as")
@pytest.mark.parametrize("user", [postgres.NAMESPACE, postgres.NOBODY], ids=["namespace", "nobody"])
def test_root_runs_it_as_somebody_else_behind_folders_of_its_own(tmp_path, monkeypatch, user):
    if not user.works():
        pytest.skip(f"this machine does not let us {user.prefix[0]}")
    monkeypatch.setattr(postgres, "_user", lambda: user)
    home = tmp_path / "root-only"
    home.mkdir(mode=0o700)
    server = Server(home / "server", durable=False)
    server.start()
    run(server, "CREATE TABLE kept AS SELECT 1 AS n")
    server.stop()
    server.start()
    assert run(server, "SELECT n FROM kept") == [(1,)]
    process = Path(f"/proc/{server._pid()}")
    is_in_a_namespace = process.joinpath("uid_map").read_text() != Path("/proc/self/uid_map").read_text()
    assert is_in_a_namespace or process.stat().st_uid != 0
    server.destroy()
