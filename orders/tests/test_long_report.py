"""
A long journal: the memory of whoever writes it stays flat.

The rows are made by SQL, past every trigger, since nobody sells a hundred thousand times in a test.
``FLINT_LONG_REPORT_ROWS=1000000`` makes it a long one, and prints how long it took and how much it needed.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction

from flint.reports.models import Report
from flint.testing import stories
from flint.testing.reports import COMMITTED
from orders.models import LedgerEntry

pytestmark = pytest.mark.django_db(**COMMITTED)

ROWS = int(os.environ.get("FLINT_LONG_REPORT_ROWS", "60000"))
MOST_MIB = 200
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)

WORKER = """
import pathlib, re, sys, time
import django
django.setup()
from django.db import connections
for alias in connections:
    connections[alias].settings_dict["NAME"] = sys.argv[1]
import datetime
from django.utils import timezone
from flint.reports.services import run_report
later = timezone.now() + datetime.timedelta(minutes=1)
for report_id in sys.argv[2:]:
    began = time.monotonic()
    report = run_report(report_id, at=later)
    # The kernel's ru_maxrss would count what this process was before it became Python, too.
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) // 1024
    print(report.status, report.row_count, peak, int(1000 * (time.monotonic() - began)), report.problem)
"""


def fill(environment, order, event, rows: int) -> None:
    """Write so many entries of one order over a year, half sales and half payments of them."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            """
            INSERT INTO orders_ledgerentry (id, environment_id, order_id, event_id, sequence, kind, debit, credit,
                amount, currency, source_id, created_at)
            SELECT 'led_' || lpad(number::text, 26, '0'), %(environment)s, %(order)s, %(event)s, number + 10,
                CASE number %% 2 WHEN 0 THEN 'sale_goods' ELSE 'capture' END,
                CASE number %% 2 WHEN 0 THEN 'receivable' ELSE 'processor' END,
                CASE number %% 2 WHEN 0 THEN 'sales' ELSE 'receivable' END,
                100 + number %% 9000, 'EUR', 'src_' || number,
                %(begin)s::timestamptz + number * (interval '360 days' / %(rows)s)
            FROM generate_series(1, %(rows)s) AS number
            """,
            {"environment": environment.id, "order": order.id, "event": event.id, "rows": rows, "begin": BEGIN},
        )
        cursor.execute("ANALYZE orders_ledgerentry")


def asked(environment, end: datetime, **more) -> Report:
    wanted = {"report_type": "journal_v1", "currency": "EUR", "timezone": "Europe/Berlin", "watermark": 1, **more}
    return Report.objects.create(environment=environment, interval_start_at=BEGIN, interval_end_at=end, **wanted)


def test_memory_is_flat_however_many_rows_there_are(environment):
    order = stories.open_order(environment)
    fill(environment, order, order.events.get(), ROWS)
    tenth = asked(environment, BEGIN + timedelta(days=36))
    whole = asked(environment, BEGIN + timedelta(days=365))
    sheet = asked(environment, BEGIN + timedelta(days=365), format="xlsx")

    name = connection.settings_dict["NAME"]
    ids = [tenth.id, whole.id, sheet.id] if ROWS <= 1_000_000 else [tenth.id, whole.id]
    # Debugging keeps every statement in memory, with all that it writes.
    worker = {**os.environ, "FLINT_DEBUG": "0"}
    command = [sys.executable, "-c", WORKER, name, *ids]
    done = subprocess.run(command, capture_output=True, text=True, cwd=settings.BASE_DIR, env=worker, check=False)

    assert done.returncode == 0, done.stderr[-2_000:]
    told = [line.split(" ", 4) for line in done.stdout.splitlines() if line.startswith(("succeeded", "failed"))]
    print(*(f"{rows} rows: peak {peak} MiB, {ms} ms" for _, rows, peak, ms, _ in told), sep="\n")
    assert [(status, problem) for status, _, _, _, problem in told] == [("succeeded", "")] * len(ids)
    assert LedgerEntry.objects.filter(kind="capture").count() == ROWS // 2
    peaks = [int(peak) for _, _, peak, _, _ in told]
    assert int(told[1][1]) == ROWS
    assert max(peaks) < MOST_MIB
    # Ten times as many rows need no more than a few pieces more.
    assert peaks[1] - peaks[0] < 24
