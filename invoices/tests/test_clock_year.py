"""
A year by the clock, hour by hour, in three time zones whose clocks change on different days: every reminder, fee and
payment comes on its right day and at its right hour, against an expectation that only knows calendars on a wall.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core import mail

from flint.events.models import Event
from flint.messages.sending import send_due
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import settled
from invoices.models import Invoice, InvoiceDelivery
from invoices.services import clock
from invoices.tests.asked import (
    balance,
    deposit,
    installment,
    issued,
    pay,
    percent,
    percentage_fee,
    rules,
    settings,
    term,
)
from orders.services import create_customer
from payments.models import PaymentAttempt

CHANGES = {
    "Europe/Berlin": ("2027-03-28", "2027-10-31"),
    "America/New_York": ("2027-03-14", "2027-11-07"),
    "Australia/Sydney": ("2027-04-04", "2027-10-03"),
}
"""The days of 2027 on which clocks change, first and second."""

FIRST, LAST = date(2027, 1, 4), date(2027, 12, 20)
MIDSUMMER = date(2027, 6, 30)
RETRIES = [1, 3, 7]
SEEN = ("invoice.overdue", "invoice.reminder_due", "invoice.late_fee_assessed", "invoice.late_fee_due")

Told = tuple[str, str]


@dataclass
class Diary:
    """What came about and when, by the clocks of each invoice's own zone."""

    told: dict[str, list[Told]] = field(default_factory=dict)
    last_event = ""
    last_attempt = ""

    def read(self, at: datetime) -> None:
        """Write down what is new since the last time."""
        for event in Event.objects.filter(id__gt=self.last_event, type__in=SEEN).order_by("id"):
            amount = event.data.get("amount", event.data.get("days_from_due", ""))
            self._note(event.subject_id, at, f"{event.type.removeprefix('invoice.')} {amount}".strip())
            self.last_event = event.id
        for attempt in PaymentAttempt.objects.filter(id__gt=self.last_attempt).order_by("id"):
            self._note(attempt.invoice_id, at, f"{attempt.status} {attempt.expected_outstanding_amount}")
            self.last_attempt = attempt.id

    def _note(self, invoice_id: str, at: datetime, what: str) -> None:
        zone = ZoneInfo(Invoice.objects.values_list("timezone", flat=True).get(id=invoice_id))
        self.told.setdefault(invoice_id, []).append((f"{at.astimezone(zone):%Y-%m-%d %H:%M}", what))


def wall(day: date, clock_shows: str, what: str) -> Told:
    return (f"{day} {clock_shows}", what)


def expected_of_parts(first_change: date, second_change: date) -> list[Told]:
    """
    What is to come about of an invoice of 1,000.00 in four parts, by a calendar and a wall clock alone.

    The deposit is paid two days late; the second part forty days late, after its fee; the third ahead; the last never.
    """

    def late(due: date, base: int, *, until: date = LAST) -> Iterator[Told]:
        yield wall(due - timedelta(days=7), "09:00", "reminder_due -7")
        yield wall(due, "09:00", "reminder_due 0")
        yield wall(due + timedelta(days=1), "00:00", "overdue")
        yield wall(due + timedelta(days=3), "09:00", "reminder_due 3")
        yield wall(due + timedelta(days=6), "00:00", f"late_fee_assessed {base * 2 // 100}")
        yield wall(due + timedelta(days=30), "09:00", "reminder_due 30")

    told = [wall(FIRST + timedelta(days=1), "00:00", "overdue")]
    told += late(first_change, 30_000)
    told.append(wall(MIDSUMMER - timedelta(days=7), "09:00", "reminder_due -7"))
    told += late(second_change, 25_000)
    return told


def expected_of_retries(due: date) -> list[Told]:
    """A card that always fails: on the morning of the due day, and on three mornings after it; then no more."""
    failed = [wall(due + timedelta(days=days), "09:00", "failed 5000") for days in [0, *RETRIES]]
    late = [
        wall(due - timedelta(days=7), "09:00", "reminder_due -7"),
        wall(due, "09:00", "reminder_due 0"),
        wall(due + timedelta(days=1), "00:00", "overdue"),
        wall(due + timedelta(days=3), "09:00", "reminder_due 3"),
        wall(due + timedelta(days=30), "09:00", "reminder_due 30"),
    ]
    return sorted([*failed, *late])


def expected_of_autopay(first: date, second: date) -> list[Told]:
    """A card that works: the parts are taken on the mornings of their days, and nobody is reminded of them any more."""
    return [
        wall(first - timedelta(days=7), "09:00", "reminder_due -7"),
        wall(first, "09:00", "succeeded 6000"),
        wall(second - timedelta(days=7), "09:00", "reminder_due -7"),
        wall(second, "09:00", "succeeded 4000"),
    ]


def card_of(environment, token: str):
    customer = create_customer(data={"email": f"{token}@buyer.example"}, actor=stories.actor_in(environment))
    method = stories.saved_card(customer, token=token)
    return customer, {"mode": "automatic", "payment_method_id": method.id}


@pytest.fixture
def year(environment):
    """Three invoices in each zone, issued on a Monday morning, and what is paid by hand later."""
    settings(environment, reminder_policy=rules(-7, 0, 3, 30), autopay_retry_policy={"retry_day_offsets": RETRIES})
    good, by_good_card = card_of(environment, "pm_card_visa")
    bad, by_bad_card = card_of(environment, "pm_card_chargeCustomerFail")
    expected, payments = {}, []
    for zone, changes in CHANGES.items():
        settings(environment, timezone=zone)
        first, second = (date.fromisoformat(day) for day in changes)

        def here(day: date, hour: int = 12, zone: str = zone) -> datetime:
            return datetime.combine(day, time(hour), tzinfo=ZoneInfo(zone))

        fee = percentage_fee(20_000, grace=5, mode="automatic")
        terms = {"type": "payment_terms", "invoice_payment_term_id": term(environment, fee=fee).id}
        parts = issued(
            environment,
            at=here(FIRST, 10),
            total=100_000,
            payment_due=terms,
            schedule_entries=[
                deposit(percent(200_000)),
                installment(percent(300_000), here(first)),
                installment(percent(250_000), here(MIDSUMMER)),
                balance(here(second)),
            ],
        )
        expected[parts.id] = expected_of_parts(first, second)
        payments += [
            (here(FIRST + timedelta(days=2)), parts, 20_000),
            (here(first + timedelta(days=40)), parts, 30_000),
            (here(MIDSUMMER - timedelta(days=5)), parts, 25_000),
        ]
        failing = issued(
            environment,
            at=here(FIRST, 10),
            total=5_000,
            order={"customer_id": bad.id},
            collection=by_bad_card,
            payment_due={"type": "absolute", "due_at": here(first, 23) + timedelta(minutes=59, seconds=59)},
        )
        expected[failing.id] = expected_of_retries(first)
        paying = issued(
            environment,
            at=here(FIRST, 10),
            total=10_000,
            order={"customer_id": good.id},
            collection=by_good_card,
            payment_due={"type": "none"},
            schedule_entries=[installment(percent(600_000), here(first)), balance(here(second))],
        )
        expected[paying.id] = expected_of_autopay(first, second)
    return expected, sorted(payments, key=lambda payment: payment[0])


def live_through(payments, diary: Diary, *, beats: int = 2) -> None:
    """Let every hour of the year beat, more than once, and pay what is paid by hand in between."""
    at = datetime(2027, 1, 3, 12, tzinfo=UTC)
    diary.last_event = Event.objects.order_by("-id").values_list("id", flat=True)[0]
    while at.date() <= LAST:
        with settled():
            seen = clock.sweep(at=at)
            for _ in range(beats - 1 if seen else 0):
                clock.sweep(at=at)
        if seen:
            with settled():
                send_due(at=at)
            diary.read(at)
        while payments and payments[0][0] <= at:
            when, invoice, amount = payments.pop(0)
            pay(invoice, amount, at=when)
            diary.last_event = Event.objects.order_by("-id").values_list("id", flat=True)[0]
        at += timedelta(hours=1)


def test_a_year_in_three_time_zones(year, environment):
    expected, payments = year
    diary = Diary()
    mail.outbox.clear()

    live_through(payments, diary)

    for invoice_id, told in expected.items():
        assert sorted(diary.told[invoice_id]) == sorted(told), Invoice.objects.get(id=invoice_id).timezone
    reminders = sum(what.startswith("reminder") for told in expected.values() for _, what in told)
    facts = InvoiceDelivery.objects.filter(delivery_type="reminder").values_list("status", flat=True)
    assert list(facts) == ["sent"] * reminders
    assert sum("nvoice" in letter.subject for letter in mail.outbox) == reminders + len(expected)
    for invoice in Invoice.objects.select_related("order"):
        assert invoice.next_action_at is None, invoice.next_action_at
        assert_books(invoice.order)
    totals = sorted(Invoice.objects.values_list("order__total_amount", "order__paid_amount"))
    assert totals == [(5_000, 0)] * 3 + [(10_000, 10_000)] * 3 + [(101_100, 75_000)] * 3
