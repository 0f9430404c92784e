"""Due dates against a calculator that walks the calendar day by day, and around every change of clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invoices.due import after_grace, day_of, due_at_of, due_day_of, end_of_day, reminder_at, start_of_day

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Kathmandu",
]
many = settings(max_examples=300, deadline=None, database=None, derandomize=True)
days = st.dates(min_value=date(2009, 1, 1), max_value=date(2044, 12, 31))


def walked(calculation: dict, issued: date) -> date:
    """Return the due day by looking at one day after the other."""

    def is_last_of_month(day: date) -> bool:
        return (day + timedelta(days=1)).month != day.month

    def is_the(day: date, wanted: int) -> bool:
        return day.day == wanted or (is_last_of_month(day) and day.day < wanted)

    day, kind = issued, calculation["type"]
    if kind == "day_of_next_month":
        while day.month == issued.month:
            day += timedelta(days=1)
    if kind in ("day_of_month", "day_of_next_month"):
        while not is_the(day, calculation["day"]):
            day += timedelta(days=1)
        return day
    if kind == "days_after_month_end":
        while not is_last_of_month(day):
            day += timedelta(days=1)
    for _ in range(calculation.get("days", 0)):
        day += timedelta(days=1)
    return day


calculations = st.one_of(
    st.just({"type": "on_receipt"}),
    st.builds(lambda n: {"type": "net_days", "days": n}, st.integers(0, 200)),
    st.builds(lambda n: {"type": "day_of_month", "day": n}, st.integers(1, 31)),
    st.builds(lambda n: {"type": "day_of_next_month", "day": n}, st.integers(1, 31)),
    st.builds(lambda n: {"type": "days_after_month_end", "days": n}, st.integers(0, 200)),
)


@many
@given(calculations, days)
def test_the_due_day_is_the_one_that_walking_the_calendar_finds(calculation, issued):
    assert due_day_of(calculation, issued) == walked(calculation, issued)


@pytest.mark.parametrize(
    ("calculation", "issued", "due"),
    [
        ({"type": "on_receipt"}, "2026-02-28", "2026-02-28"),
        ({"type": "net_days", "days": 30}, "2026-01-31", "2026-03-02"),
        ({"type": "day_of_month", "day": 15}, "2026-01-15", "2026-01-15"),
        ({"type": "day_of_month", "day": 15}, "2026-01-16", "2026-02-15"),
        ({"type": "day_of_month", "day": 31}, "2026-02-03", "2026-02-28"),
        ({"type": "day_of_month", "day": 30}, "2028-02-03", "2028-02-29"),
        ({"type": "day_of_month", "day": 1}, "2026-12-02", "2027-01-01"),
        ({"type": "day_of_next_month", "day": 31}, "2026-01-31", "2026-02-28"),
        ({"type": "day_of_next_month", "day": 5}, "2026-12-31", "2027-01-05"),
        ({"type": "days_after_month_end", "days": 10}, "2026-02-01", "2026-03-10"),
        ({"type": "days_after_month_end", "days": 0}, "2026-12-31", "2026-12-31"),
    ],
)
def test_due_days_of_every_calculation(calculation, issued, due):
    assert due_day_of(calculation, date.fromisoformat(issued)) == date.fromisoformat(due)


def test_the_day_of_issue_is_the_one_where_the_invoice_lives():
    issued_at = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
    by_month_end = {"type": "days_after_month_end", "days": 0}

    assert due_at_of(by_month_end, issued_at, "UTC") == datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
    assert due_at_of(by_month_end, issued_at, "Europe/Berlin") == datetime(2026, 4, 30, 21, 59, 59, tzinfo=UTC)


@many
@given(st.sampled_from(ZONES), days)
def test_days_follow_each_other_without_a_gap(zone, day):
    start, end = start_of_day(day, zone), end_of_day(day, zone)

    assert start_of_day(day + timedelta(days=1), zone) == end + timedelta(seconds=1)
    if start <= end:  # Apia went without the 30 December 2011.
        assert day_of(start, zone) == day_of(end, zone) == day
    assert day_of(start - timedelta(seconds=1), zone) < day < day_of(end + timedelta(seconds=1), zone) or start > end


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/Santiago", "2026-09-06", 23),
        ("America/Santiago", "2026-04-04", 25),
        ("Africa/Cairo", "2026-10-29", 25),
        ("Pacific/Apia", "2011-12-30", 0),
    ],
)
def test_a_due_day_is_as_long_as_it_is_where_it_is(zone, day, hours):
    day = date.fromisoformat(day)

    length = end_of_day(day, zone) + timedelta(seconds=1) - start_of_day(day, zone)

    assert length == timedelta(hours=hours)


@many
@given(st.sampled_from(ZONES), days, st.integers(-90, 365))
def test_reminders_come_at_nine_in_the_morning_whatever_the_clocks_did_since(zone, day, offset):
    at = reminder_at(end_of_day(day, zone), offset, zone).astimezone(ZoneInfo(zone))

    if day_of(end_of_day(day, zone), zone) == day:
        gap = date(2011, 12, 30) if zone == "Pacific/Apia" else None
        assert at.date() == day + timedelta(days=offset) or day + timedelta(days=offset) == gap
        assert (at.hour, at.minute) == (9, 0)


def test_grace_ends_with_a_day():
    due_at = end_of_day(date(2026, 10, 24), "Europe/Berlin")

    assert after_grace(due_at, 1, "Europe/Berlin") == datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)
    assert after_grace(due_at, 0, "Europe/Berlin") == due_at
