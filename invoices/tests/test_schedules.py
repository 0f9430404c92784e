"""Schedules: which there may be, what their parts come to and how they fill, each against a second, slow calculator."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from invoices.due import end_of_day
from invoices.schedules import (
    Filled,
    InvoiceScheduleInvalid,
    Planned,
    amounts_of,
    check_shape,
    fill,
    planned_of,
    resolve,
    status_of,
)
from orders.amounts import HUNDRED_PERCENT

many = settings(max_examples=300, deadline=None, database=None, derandomize=True)
percents = st.integers(1, 600_000)
MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)


def deposit(**value) -> Planned:
    return Planned("deposit", "at_issue", **value)


def installment(day: int, **value) -> Planned:
    return Planned("installment", "date", date=MARCH + timedelta(days=day), **value)


BALANCE = Planned("balance", "invoice_due_date")


def slowly(entries: list[Planned], total: int) -> list[int]:
    """Return the parts by exact fractions, giving out what is missing one unit at a time."""
    exact = [Fraction(entry.percent or 0, HUNDRED_PERCENT) * total for entry in entries]
    parts = [int(each) for each in exact]
    wanted = int(sum(exact) + Fraction(1, 2))
    while sum(parts) < wanted:
        most = max(range(len(parts)), key=lambda i: (exact[i] - parts[i], -i))
        parts[most] += 1
    parts = [entry.fixed if entry.fixed is not None else part for entry, part in zip(entries, parts, strict=True)]
    if entries[-1].is_rest:
        parts[-1] = total - sum(parts[:-1])
    return parts


values = st.one_of(
    st.builds(lambda n: {"fixed": n}, st.integers(1, 4_000)), st.builds(lambda n: {"percent": n}, percents)
)


@many
@given(st.lists(values, max_size=13), st.integers(1, 99_999))
def test_two_calculators_agree_on_any_schedule_with_a_balance(chosen, total):
    entries = [installment(day, **value) for day, value in enumerate(chosen)] + [BALANCE]
    expected = slowly(entries, total)
    assume(all(part > 0 for part in expected))

    parts = amounts_of(entries, total)

    assert parts == expected
    assert sum(parts) == total


@many
@given(st.lists(st.integers(1, 900), min_size=1, max_size=13), st.integers(1, 99_999_999))
def test_parts_in_percent_that_come_to_a_hundred_need_no_balance(weights, total):
    steps = [HUNDRED_PERCENT * weight // sum(weights) for weight in weights]
    steps[-1] += HUNDRED_PERCENT - sum(steps)
    entries = [installment(day, percent=step) for day, step in enumerate(steps)]
    expected = slowly(entries, total)
    assume(all(part > 0 for part in expected))

    parts = amounts_of(entries, total)

    assert parts == expected
    assert sum(parts) == total
    assert all(abs(part - Fraction(step, HUNDRED_PERCENT) * total) < 1 for part, step in zip(parts, steps, strict=True))


@pytest.mark.parametrize(
    "entries",
    [
        [installment(0, fixed=50), deposit(fixed=50)],
        [deposit(fixed=50), deposit(fixed=50)],
        [BALANCE, installment(0, fixed=50)],
        [BALANCE, BALANCE],
        [installment(2, fixed=50), installment(1, fixed=50)],
        [installment(1, fixed=50), installment(1, fixed=50)],
        [installment(1, fixed=0), BALANCE],
        [installment(1, percent=0), BALANCE],
        [installment(1, percent=600_000), installment(2, percent=600_000)],
        [installment(day, fixed=1) for day in range(15)],
    ],
)
def test_a_schedule_that_can_never_be_is_refused(entries):
    with pytest.raises(InvoiceScheduleInvalid):
        check_shape(entries)


@pytest.mark.parametrize(
    "entries",
    [
        [installment(0, fixed=99)],
        [installment(0, fixed=101)],
        [installment(0, percent=990_000)],
        [installment(0, percent=500_000), installment(1, fixed=49)],
        [deposit(fixed=100), BALANCE],
        [deposit(fixed=60), installment(1, percent=500_000), BALANCE],
        [installment(1, percent=1_000), BALANCE],
    ],
)
def test_parts_that_do_not_come_to_the_total_are_refused(entries):
    with pytest.raises(InvoiceScheduleInvalid):
        amounts_of(entries, 100)


def test_half_in_percent_and_half_fixed_is_the_whole():
    assert amounts_of([installment(0, percent=500_000), installment(1, fixed=50)], 100) == [50, 50]


def test_no_schedule_is_one():
    assert resolve([], 100, issued_at=MARCH, due_at=None, timezone="UTC") == []


@pytest.mark.parametrize(
    ("kind", "amount", "due"),
    [
        ("deposit", "remaining_balance", "at_issue"),
        ("deposit", "fixed", "invoice_due_date"),
        ("installment", "remaining_balance", "date"),
        ("installment", "fixed", "at_issue"),
        ("balance", "fixed", "date"),
        ("balance", "remaining_balance", "at_issue"),
    ],
)
def test_a_kind_is_refused_with_an_amount_or_a_date_of_another(kind, amount, due):
    entry = {
        "kind": kind,
        "amount_specification": {"type": amount, "amount_money": {"amount": 10, "currency": "EUR"}},
        "due": {"type": due, "due_at": "2026-03-01T00:00:00Z"},
    }

    with pytest.raises(InvoiceScheduleInvalid):
        planned_of(entry)


def test_what_is_stored_is_read_back():
    money = {"type": "fixed", "amount_money": {"amount": 10, "currency": "EUR"}}
    dated = {"kind": "installment", "amount_specification": money}
    first = planned_of({**dated, "due": {"type": "date", "due_at": "2026-03-01T13:00:00+01:00"}})
    second = planned_of(
        {
            "kind": "deposit",
            "amount_specification": {"type": "percentage", "percent": 107_500},
            "due": {"type": "at_issue"},
        }
    )

    assert first == Planned("installment", "date", fixed=10, date=MARCH)
    assert second == Planned("deposit", "at_issue", percent=107_500)


def test_parts_are_due_at_the_end_of_their_days_where_the_invoice_lives():
    entries = [deposit(percent=200_000), installment(28, percent=300_000), BALANCE]
    due_at = end_of_day((MARCH + timedelta(days=60)).date(), "Europe/Berlin")

    parts = resolve(entries, 10_001, issued_at=MARCH, due_at=due_at, timezone="Europe/Berlin")

    assert [part.amount for part in parts] == [2_000, 3_001, 5_000]
    assert [part.due_at for part in parts] == [
        datetime(2026, 3, 1, 22, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC),
        due_at,
    ]


def test_a_balance_needs_the_invoices_due_date_only_when_it_is_issued():
    entries = [deposit(fixed=1), BALANCE]

    assert resolve(entries, 100, issued_at=None, due_at=None, timezone="UTC")[1].due_at is None
    with pytest.raises(InvoiceScheduleInvalid):
        resolve(entries, 100, issued_at=MARCH, due_at=None, timezone="UTC")


def test_a_part_that_is_due_before_the_one_before_it_is_refused_at_issue():
    with pytest.raises(InvoiceScheduleInvalid):
        resolve([deposit(fixed=1), installment(-1, fixed=99)], 100, issued_at=MARCH, due_at=None, timezone="UTC")


# Filling


def unit_by_unit(totals: list[int], paid: int, credit: int, written_off: int) -> list[Filled]:
    """Return the same by handing every single unit to the first part that has room."""
    got = [{"paid": 0, "credit": 0, "written_off": 0} for _ in totals]
    for name, amount in (("paid", paid), ("credit", credit), ("written_off", written_off)):
        for _ in range(amount):
            room = next((i for i, total in enumerate(totals) if sum(got[i].values()) < total), None)
            if room is not None:
                got[room][name] += 1
    return [Filled(total, **each) for total, each in zip(totals, got, strict=True)]


@many
@given(st.lists(st.integers(0, 30), max_size=8), st.integers(0, 90), st.integers(0, 90), st.integers(0, 90))
def test_two_calculators_agree_on_what_is_filled(totals, paid, credit, written_off):
    assert fill(totals, paid=paid, credit=credit, written_off=written_off) == unit_by_unit(
        totals, paid, credit, written_off
    )


@many
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 99), st.integers(0, 9))
def test_more_money_never_opens_a_part_and_fills_them_in_their_order(totals, paid, more):
    before = [part.outstanding for part in fill(totals, paid=paid)]
    after = fill(totals, paid=paid + more)

    assert all(now.outstanding <= was for now, was in zip(after, before, strict=True))
    assert sum(part.outstanding for part in after) == max(sum(totals) - paid - more, 0)
    first_open = next((i for i, part in enumerate(after) if part.outstanding), len(totals))
    assert all(not part.settled for part in after[first_open + 1 :])


# Statuses


@pytest.mark.parametrize(
    ("settled", "at", "status"),
    [
        (0, "2026-03-28T22:59:59Z", "pending"),
        (0, "2026-03-28T23:00:00Z", "due"),
        (0, "2026-03-29T21:59:59Z", "due"),
        (0, "2026-03-29T22:00:00Z", "overdue"),
        (1, "2026-03-28T22:59:59Z", "partially_satisfied"),
        (1, "2026-03-29T12:00:00Z", "partially_satisfied"),
        (1, "2026-03-29T22:00:00Z", "overdue"),
        (9, "2026-03-01T00:00:00Z", "satisfied"),
        (9, "2027-03-01T00:00:00Z", "satisfied"),
    ],
)
def test_a_part_is_due_on_the_short_day_on_which_clocks_go_forward(settled, at, status):
    due_at = end_of_day(datetime(2026, 3, 29).date(), "Europe/Berlin")
    [part] = fill([9], paid=settled)

    assert status_of(part, due_at, at=datetime.fromisoformat(at), timezone="Europe/Berlin") == status
