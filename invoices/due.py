"""
When things about an invoice are due. Pure functions of moments and a time zone.

A due day belongs to the invoice's own time zone and ends with its last second there, whatever clocks do on that day:
it may have 23 or 25 hours, or begin at one o'clock.
"""

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

MORNING = time(9)
"""When reminders are sent, in the invoice's time zone: people read them, and someone answers when they ask."""


def day_of(moment: datetime, timezone: str) -> date:
    """Return the day that it is somewhere at a moment."""
    return moment.astimezone(ZoneInfo(timezone)).date()


def start_of_day(day: date, timezone: str) -> datetime:
    """Return the first moment of a day in a time zone; where clocks skip midnight, the moment they do."""
    return moment_of(day, time(0), timezone)


def end_of_day(day: date, timezone: str) -> datetime:
    """Return the last second of a day in a time zone."""
    return start_of_day(day + timedelta(days=1), timezone) - timedelta(seconds=1)


def moment_of(day: date, clock: time, timezone: str) -> datetime:
    """
    Return when clocks somewhere show a time of a day.

    Where they show it twice it is the first, and where they skip it, as long after the last moment before.
    """
    return datetime.combine(day, clock, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def due_at_of(calculation: Mapping[str, Any], issued_at: datetime, timezone: str) -> datetime:
    """
    Return when an invoice is due that is issued at a moment: the end of the due day.

    :param calculation: the contract's object of a payment term, ``{"type": "net_days", "days": 30}``.
    :raises KeyError: for a calculation that there is not.
    """
    return end_of_day(due_day_of(calculation, day_of(issued_at, timezone)), timezone)


def due_day_of(calculation: Mapping[str, Any], issued: date) -> date:
    """
    Return the due day of an invoice issued on a day.

    A day that a month does not have is its last one. ``day_of_month`` is the next such day from the day of issue on,
    which counts: it has not ended yet.
    """
    return CALCULATIONS[calculation["type"]](calculation, issued)


def reminder_at(due_at: datetime, days_from_due: int, timezone: str) -> datetime:
    """Return the morning so many days after the due day, or before it if negative."""
    return moment_of(day_of(due_at, timezone) + timedelta(days=days_from_due), MORNING, timezone)


def after_grace(due_at: datetime, days: int, timezone: str) -> datetime:
    """Return the end of the last day of grace: so many days after the due day."""
    return end_of_day(day_of(due_at, timezone) + timedelta(days=days), timezone)


def _on_receipt(calculation: Mapping[str, Any], issued: date) -> date:
    return issued


def _net_days(calculation: Mapping[str, Any], issued: date) -> date:
    return issued + timedelta(days=calculation["days"])


def _day_of_month(calculation: Mapping[str, Any], issued: date) -> date:
    here = _within(issued, calculation["day"])
    return here if here >= issued else _within(_next_month(issued), calculation["day"])


def _day_of_next_month(calculation: Mapping[str, Any], issued: date) -> date:
    return _within(_next_month(issued), calculation["day"])


def _days_after_month_end(calculation: Mapping[str, Any], issued: date) -> date:
    return _next_month(issued) - timedelta(days=1) + timedelta(days=calculation["days"])


CALCULATIONS = {
    "on_receipt": _on_receipt,
    "net_days": _net_days,
    "day_of_month": _day_of_month,
    "day_of_next_month": _day_of_next_month,
    "days_after_month_end": _days_after_month_end,
}


def _next_month(day: date) -> date:
    """Return the first of the month after a day's."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _within(month: date, day: int) -> date:
    return month.replace(day=min(day, monthrange(month.year, month.month)[1]))
