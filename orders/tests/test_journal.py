"""The journal: every ledger entry of an interval, once, with sums that two queries agree on."""

import pytest
from django.db import connection

from flint.testing import stories
from flint.testing.reports import COMMITTED, made, minor, report
from flint.testing.stories import eur
from orders.models import LedgerEntry

pytestmark = pytest.mark.django_db(**COMMITTED)


def test_it_holds_every_entry_once_and_adds_up(environment):
    order = stories.paid_order(environment, total=10_000)
    stories.refund(order, amount_money=eur(2_500))

    found = report(environment, "journal_v1")

    assert found.column("entry_id") == list(
        LedgerEntry.objects.order_by("created_at", "id").values_list("id", flat=True)
    )
    assert found.total("amount") == sum(LedgerEntry.objects.values_list("amount", flat=True))
    accounts = {}
    for row in found.rows:
        accounts[row["debit"]] = accounts.get(row["debit"], 0) + minor(row["amount"])
        accounts[row["credit"]] = accounts.get(row["credit"], 0) - minor(row["amount"])
    assert sum(accounts.values()) == 0
    assert accounts["receivable"] == 0
    assert accounts["sales"] == -7_500
    assert set(found.column("order_number")) == {order.order_number}
    assert found.about["total credit=sales"] == "100.00"
    assert found.about["rows"] == str(len(found.rows))


def test_an_entry_that_the_rows_miss_fails_it_loudly(environment, monkeypatch):
    stories.paid_order(environment, total=10_000)
    with connection.cursor() as cursor:
        # A row that no reader of the journal sees: its event is gone, as after a restored backup of a part.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM events_event WHERE type = 'payment.settled'")
        cursor.execute("SET session_replication_role = DEFAULT")

    failed = made(environment, "journal_v1")

    assert (failed.status, failed.failure_reason) == ("failed", "data_unavailable")
    assert "rows is" in failed.problem and "credit=receivable is 0 by its rows and 10000" in failed.problem
    assert not failed.chunks.exists() and failed.made is None
