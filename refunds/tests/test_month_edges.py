"""The edge of a month: what happens just before and just at it is in one month each, by whatever clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction

from flint.testing import stories
from flint.testing.reports import COMMITTED, minor, month, report

pytestmark = pytest.mark.django_db(**COMMITTED)

TICK = timedelta(microseconds=1)


def moved(order, at: datetime) -> None:
    """Have everything of an order have happened at one moment, past every guard."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table, column in (("events_event", "order_id"), ("orders_ledgerentry", "order_id"), ("orders_order", "id")):
            cursor.execute(f"UPDATE {table} SET created_at = %s WHERE {column} = %s", [at, order.id])


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_d164_each_payment_is_in_one_month_and_the_months_are_the_year(environment, name):
    zone = ZoneInfo(name)
    months = [month(2025, number, zone) for number in (3, 4, 10, 11)]
    amounts = {}
    for number, (start, _) in enumerate(months):
        for place, at in enumerate((start - TICK, start, start + TICK)):
            amount = 100 + 10 * number + place
            moved(stories.paid_order(environment, total=amount), at.astimezone(UTC))
            amounts[amount] = at

    seen = []
    for number in range(1, 13):
        start, end = month(2025, number, zone)
        found = report(environment, "payments_itemized_v1", start=start, end=end, zone=name)
        for row in found.rows:
            local = datetime.fromisoformat(row["booked_at"]).astimezone(zone)
            assert (local.year, local.month) == (2025, number)
        seen += [minor(text) for text in found.column("amount")]

    assert sorted(seen) == sorted(amounts)
    year = {"start": month(2025, 1, zone)[0], "end": month(2025, 12, zone)[1], "zone": name}
    assert sum(seen) == report(environment, "payments_itemized_v1", **year).total("amount")
