"""A real replica that lags: reports read it, and only once it shows what the main database has committed."""

import subprocess
import time
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from flint.postgres import Server, _make_private, _user, binaries
from flint.reports import services
from flint.reports.settling import has_caught_up
from flint.testing import stories
from flint.testing.reports import COMMITTED, content_of
from flint.testing.stories import actor_in
from orders.models import LedgerEntry

pytestmark = pytest.mark.django_db(**COMMITTED)

PATIENCE = 60


@pytest.fixture
def replica(tmp_path):
    """A replica of the tests' server that is an hour behind, until it is told to hurry."""
    main = connection.get_connection_params()
    server = Server(tmp_path / "replica", durable=False, max_connections=300)
    for folder in (server.data, server.socket_folder):
        _make_private(folder)
    copy = [str(binaries() / "pg_basebackup"), "-D", str(server.cluster), "-R", "-X", "stream", "-c", "fast"]
    where = ["-h", str(main["host"]), "-U", str(main["user"])]
    made = subprocess.run([*_user().prefix, *copy, *where], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"this server gives no replica: {made.stderr.strip()}")
    with (server.cluster / "postgresql.auto.conf").open("a") as settings:
        settings.write("recovery_min_apply_delay = '1h'\n")
    server.start()
    reports = connections["reports"]
    reports.close()
    before = reports.settings_dict["HOST"]
    reports.settings_dict["HOST"] = str(server.socket_folder)
    yield server
    reports.close()
    reports.settings_dict["HOST"] = before
    server.destroy()


def hurry(position: str) -> None:
    """Let the replica apply what it has received, and wait until it has."""
    with connections["reports"].cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET recovery_min_apply_delay = 0")
        cursor.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + PATIENCE
    while not has_caught_up("reports", position):
        assert time.monotonic() < deadline, "the replica does not catch up"


def test_d067_a_report_waits_for_the_replica_and_nobody_else_does(environment, replica):
    order = stories.paid_order(environment, total=2_000)
    stories.refund(order)
    order.refresh_from_db()
    assert (order.paid_amount, order.refunded_amount, order.balance_amount) == (2_000, 2_000, 0)
    at = timezone.now()
    report = services.create_report(
        report_type="journal_v1", currency="EUR", start=at - timedelta(days=1), end=at, actor=actor_in(environment)
    )

    assert services.run_report(report.id, at=at + timedelta(minutes=1)) is None
    report.refresh_from_db()
    assert (report.status, report.attempts) == ("pending", 0)
    assert not has_caught_up("reports", report.position)
    hurry(report.position)

    written = services.run_report(report.id, at=at + timedelta(minutes=1))
    assert (written.status, written.row_count) == ("succeeded", LedgerEntry.objects.count())
    assert order.id.encode() in content_of(written)


def test_d067_a_replica_that_is_gone_keeps_no_sale_waiting(environment):
    reports = connections["reports"]
    reports.close()
    before = reports.settings_dict["HOST"]
    reports.settings_dict["HOST"] = "/nowhere"
    try:
        order = stories.paid_order(environment, total=2_000)
        stories.refund(order)
        at = timezone.now()
        report = services.create_report(
            report_type="journal_v1", currency="EUR", start=at - timedelta(days=1), end=at, actor=actor_in(environment)
        )
        with pytest.raises(Exception, match="connection"):
            services.run_report(report.id, at=at + timedelta(minutes=1))
    finally:
        reports.close()
        reports.settings_dict["HOST"] = before
    report.refresh_from_db()
    assert (report.status, report.attempts) == ("pending", 0)
    assert services.run_report(report.id, at=at + timedelta(minutes=1)).status == "succeeded"
