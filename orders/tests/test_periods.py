"""Closing a month: nothing is booked into it any more, and its journal stays what it was, to the byte."""

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.utils import timezone

from flint.celery import collecting
from flint.events.models import Event
from flint.reports.models import Report
from flint.testing import stories
from flint.testing.reports import COMMITTED, content_of, made, report
from flint.testing.stories import actor_in, eur
from orders import ledger
from orders.models import LedgerEntry, PeriodClose
from orders.services import periods
from orders.services.periods import close_period, finish_close, next_period, preview, sweep_periods

pytestmark = pytest.mark.django_db(**COMMITTED)


def long_ago(environment, days: int, hours: int = 0) -> None:
    """Move everything booked so far into the past, past every guard: time cannot be waited for."""
    back = timedelta(days=days, hours=hours)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table in ("events_event", "orders_ledgerentry", "orders_order"):
            cursor.execute(
                f"UPDATE {table} SET created_at = created_at - %s WHERE environment_id = %s", [back, environment.id]
            )
        cursor.execute("SET session_replication_role = DEFAULT")


@pytest.fixture
def books(environment, merchant):
    """A month with a sale in it that ended long enough ago, in Berlin."""
    merchant.reporting_timezone = "Europe/Berlin"
    merchant.save()
    order = stories.paid_order(environment, total=10_000)
    stories.paid_order(environment, total=500, currency="USD")
    long_ago(environment, 40)
    return order


def closed(environment) -> PeriodClose:
    period = next_period(environment.id)
    with collecting():
        begun = close_period(
            environment_id=environment.id, label=period.label, reason="Checked", actor=actor_in(environment)
        )
        return finish_close(begun.id)


def journal_of(environment, period, **more) -> Report:
    return made(
        environment, "journal_v1", **({"start": period.start, "end": period.end, "zone": period.timezone} | more)
    )


def backdated(environment, at) -> LedgerEntry:
    event = Event.objects.filter(environment=environment).latest("id")
    event.created_at = at
    return ledger.post_apart(event, [ledger.Posting("adjustment", 100, "btx_1")], currency="EUR")


def test_a_month_is_sealed_with_its_totals_and_its_hash(environment, books):
    period = next_period(environment.id)
    before = journal_of(environment, period)

    close = closed(environment)

    assert (close.status, close.label, close.timezone) == ("closed", period.label, "Europe/Berlin")
    assert close.entry_count == 4
    assert close.hashes["EUR"] == before.content_sha256
    assert close.totals["EUR"]["credit=sales"] == 10_000
    assert close.totals["USD"]["credit=sales"] == 500
    assert content_of(journal_of(environment, period)) == content_of(before)
    assert Event.objects.filter(type="period.closed", subject_id=close.id).count() == 1


def test_later_facts_are_of_a_later_month(environment, books):
    period = next_period(environment.id)
    closed(environment)
    stories.refund(books, amount_money=eur(2_500))

    assert journal_of(environment, period).row_count == 2
    later = report(environment, "refunds_itemized_v1", start=period.end, end=timezone.now())
    assert later.total("amount") == 2_500
    assert next_period(environment.id).start == period.end


@pytest.mark.parametrize(
    "name", ["orders_itemized_v1", "orders_itemized_v2", "tax_itemized_v1", "payments_itemized_v1"]
)
def test_every_report_of_facts_stays_what_it_was(environment, books, name):
    period = next_period(environment.id)
    interval = {"start": period.start, "end": period.end, "zone": period.timezone}
    before = made(environment, name, **interval)
    closed(environment)
    stories.refund(books)
    assert content_of(made(environment, name, **interval)) == content_of(before)


def test_the_database_takes_nothing_into_a_closed_month(environment, books):
    close = closed(environment)
    count = LedgerEntry.objects.count()
    for at in (close.end_at - timedelta(microseconds=1), close.start_at, close.start_at - timedelta(days=400)):
        with pytest.raises(IntegrityError, match="is closed"), transaction.atomic():
            backdated(environment, at)
    assert LedgerEntry.objects.count() == count
    with transaction.atomic():
        backdated(environment, close.end_at)
    assert LedgerEntry.objects.count() == count + 1


def test_another_environment_is_not_closed_with_it(environment, books, merchant, other_api):
    close = closed(environment)
    other = other_api.environment
    stories.open_order(other)
    with transaction.atomic():
        backdated(other, close.start_at)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders_periodclose SET hashes = '{}'",
        "UPDATE orders_periodclose SET status = 'closing', closed_at = NULL",
        "UPDATE orders_periodclose SET end_at = end_at - interval '1 day'",
        "DELETE FROM orders_periodclose",
        "UPDATE orders_ledgerentry SET amount = amount + 1",
        "DELETE FROM orders_ledgerentry",
    ],
)
def test_nobody_opens_or_rewrites_it_by_hand(environment, books, statement):
    closed(environment)
    with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_journal_that_was_tampered_with_past_every_guard_is_refused(environment, books):
    period = next_period(environment.id)
    closed(environment)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE orders_ledgerentry SET amount = amount - 1 WHERE kind = 'capture'")
        cursor.execute("SET session_replication_role = DEFAULT")
    failed = journal_of(environment, period)
    assert (failed.status, failed.failure_reason) == ("failed", "data_unavailable")
    assert "not the one that the month was closed with" in failed.problem


def test_months_are_closed_one_after_the_other_and_when_they_are_over(environment, books):
    period = next_period(environment.id)
    actor = actor_in(environment)
    with pytest.raises(periods.PeriodNotNext):
        close_period(environment_id=environment.id, label="2020-01", reason="Checked", actor=actor)
    with pytest.raises(periods.PeriodReasonRequired):
        close_period(environment_id=environment.id, label=period.label, reason="  ", actor=actor)
    early = period.end + timedelta(minutes=59)
    with pytest.raises(periods.PeriodNotOver):
        close_period(environment_id=environment.id, label=period.label, reason="Checked", actor=actor, at=early)
    assert not PeriodClose.objects.exists()
    closed(environment)
    following = next_period(environment.id)
    while following.may_be_closed(timezone.now()):
        closed(environment)
        following = next_period(environment.id)
    with pytest.raises(periods.PeriodNotOver):
        close_period(environment_id=environment.id, label=following.label, reason="Checked", actor=actor)


def test_the_database_knows_no_month_that_is_not_over(environment):
    now = timezone.now()
    with pytest.raises(IntegrityError, match="must be over"), transaction.atomic():
        PeriodClose.objects.create(
            environment=environment, label="2030-01", timezone="UTC", start_at=now, end_at=now + timedelta(days=1)
        )


def test_two_who_close_at_once_close_it_once(environment, books):
    period = next_period(environment.id)
    start, ended = threading.Barrier(2), []

    def work():
        start.wait()
        try:
            with collecting():
                close_period(
                    environment_id=environment.id, label=period.label, reason="Checked", actor=actor_in(environment)
                )
            ended.append("closed")
        except periods.PeriodNotNext:
            ended.append("refused")
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert sorted(ended) == ["closed", "refused"]


def test_who_is_still_writing_is_waited_for(environment, books):
    """An entry dated within the month, in a transaction that was open when the month was closed, belongs to it."""
    period = next_period(environment.id)
    written_down, go_on = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            backdated(environment, period.end - timedelta(seconds=1))
            written_down.set()
            go_on.wait(30)
        connections.close_all()

    worker = threading.Thread(target=slow)
    worker.start()
    try:
        written_down.wait(30)
        with collecting():
            begun = close_period(
                environment_id=environment.id, label=period.label, reason="Checked", actor=actor_in(environment)
            )
            assert finish_close(begun.id) is None
            assert sweep_periods() == 1
        with pytest.raises(IntegrityError, match="is closed"), transaction.atomic():
            event = Event.objects.filter(environment=environment).latest("id")
            event.created_at = period.end - timedelta(seconds=1)
            ledger.post_apart(event, [ledger.Posting("adjustment", 100, "btx_2")], currency="EUR")
    finally:
        go_on.set()
        worker.join()

    assert finish_close(begun.id).totals["EUR"]["debit=processor"] == 10_100
    assert journal_of(environment, period).status == "succeeded"


def test_the_preview_is_what_is_closed(environment, books):
    period = next_period(environment.id)
    shown = {each.currency: each for each in preview(environment.id, period)}
    assert shown["EUR"].accounts == {"processor": 10_000, "receivable": 0, "sales": -10_000}
    assert sum(each.entry_count for each in shown.values()) == closed(environment).entry_count


def test_months_begin_and_end_by_the_clocks_of_the_zone():
    berlin = ZoneInfo("Europe/Berlin")
    found = periods._month(None, datetime(2026, 10, 31, 23, 30, tzinfo=UTC), berlin)
    assert (found.label, found.start, found.end) == (
        "2026-11",
        datetime(2026, 10, 31, 23, tzinfo=UTC),
        datetime(2026, 11, 30, 23, tzinfo=UTC),
    )
    across = periods._month(None, datetime(2026, 10, 15, tzinfo=UTC), berlin)
    assert (across.end - across.start) == timedelta(days=31, hours=1)
    assert across.end == found.start
