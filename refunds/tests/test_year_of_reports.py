"""
One random year: every report equals the ledger to the cent, month by month, by several clocks, and beancount agrees.

``FLINT_YEAR_ORDERS=10000`` makes it a long one.
"""

import os
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from beancount import loader

from flint.celery import collecting
from flint.testing.reports import COMMITTED, Read, content_of, made, month, read
from orders.models import LedgerEntry, Order
from refunds.tests.years import YEAR, ZONES, Year

pytestmark = pytest.mark.django_db(**COMMITTED)

ORDERS = int(os.environ.get("FLINT_YEAR_ORDERS", "300"))
SIGNS = {"capture": 1, "manual_payment": 1, "manual_payment_reversed": -1, "refund": 1, "refund_reversed": -1}


def fold(currency: str, zone: ZoneInfo) -> dict[tuple[int, int], dict[str, int]]:
    """Add the ledger up by month of a zone, entry by entry, apart from every query of the reports."""
    months: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for entry in LedgerEntry.objects.filter(currency=currency):
        local = entry.created_at.astimezone(zone)
        sums = months[local.year, local.month]
        sums["rows"] += 1
        sums["amount"] += entry.amount
        sums[entry.debit] -= entry.amount
        sums[entry.credit] += entry.amount
        sums[entry.kind.removesuffix("_reversed")] += SIGNS.get(entry.kind, 0) * entry.amount
    return months


def check_month(environment, currency: str, zone: ZoneInfo, number: int, sums: dict[str, int]) -> Read:
    """Hold every report of a month against the ledger; return its journal."""
    start, end = month(YEAR, number, zone)
    interval = {"currency": currency, "start": start, "end": end, "zone": zone.key}

    def totals(name: str, *columns: str) -> list[int]:
        found = read(made(environment, name, **interval))
        return [sum(int(text.replace(".", "")) for text in found.column(column) if text) for column in columns]

    journal = read(made(environment, "journal_v1", **interval))
    assert len(journal.rows) == sums["rows"]
    assert sum(int(text.replace(".", "")) for text in journal.column("amount")) == sums["amount"]
    tax = sums["tax_payable"]
    sold = sums["sales"] + sums["charges"] + sums["tips_payable"] + tax
    assert totals("orders_itemized_v1", "net_sold", "owed") == [sold, -sums["receivable"]]
    assert totals("orders_itemized_v2", "total", "tax") == [sold, tax]
    assert totals("tax_itemized_v1", "tax") == totals("tax_summarized_v1", "tax") == [tax]
    assert totals("payments_itemized_v1", "amount") == [sums["capture"] + sums["manual_payment"]]
    assert totals("refunds_itemized_v1", "amount") == [sums["refund"]]
    return journal


@pytest.fixture
def year(environment) -> Year:
    with collecting():
        return Year(environment, seed=7).live(ORDERS)


def test_a_random_year_ties_out(environment, year):
    lived = {name for name in year.done if not name.endswith("refused")}
    assert lived >= {"edit", "_pay", "_by_hand", "_close", "_refund", "_fail_to_refund", "_refund_there", "_dispute"}
    currencies = ("EUR", "USD")
    for name in ZONES:
        zone = ZoneInfo(name)
        for currency in currencies if name == ZONES[0] else currencies[:1]:
            months = fold(currency, zone)
            seen: list[str] = []
            for number in range(1, 13):
                sums = months.get((YEAR, number), defaultdict(int))
                seen += check_month(environment, currency, zone, number, sums).column("entry_id")
            # Each entry of the year is in exactly one of its months.
            start, end = datetime(YEAR, 1, 1, tzinfo=zone), datetime(YEAR + 1, 1, 1, tzinfo=zone)
            whole = read(made(environment, "journal_v1", currency=currency, start=start, end=end, zone=name))
            assert seen == whole.column("entry_id")
            assert len(set(seen)) == len(seen)

    ever = {
        "start": datetime(YEAR - 1, 12, 31, tzinfo=UTC),
        "end": datetime(YEAR, 1, 1, tzinfo=UTC) + timedelta(days=399),
    }
    for currency in (*currencies, "JPY"):
        journal = made(environment, "journal_v1", currency=currency, format="beancount", **ever)
        assert journal.row_count == LedgerEntry.objects.filter(currency=currency, created_at__lt=ever["end"]).count()
        _, errors, _ = loader.load_string(content_of(journal).decode())
        assert errors == []
        orders = read(made(environment, "orders_itemized_v1", currency=currency, **ever))
        kept = Order.objects.filter(currency=currency)
        for column, attribute in (("sold", "total_amount"), ("paid", "paid_amount"), ("refunded", "refunded_amount")):
            shown = sum(int(text.replace(".", "")) for text in orders.column(column))
            assert shown == sum(kept.values_list(attribute, flat=True)), column
