"""
What reports there are. Each room declares its types in its ``reports`` module; this knows no rule about any of them.

A type names its columns, yields its rows, and says by a second query, written apart from the first, what the rows must
add up to. Where the two differ no file comes out.
"""

import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.db.models import Model

from flint.actors import Actor, system
from flint.reports.models import Format

Kind = Literal["text", "number", "money", "moment", "date"]
Row = tuple[Any, ...]
Totals = dict[str, int]

ROWS = "rows"
"""The name of the control total that counts the rows."""


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column. Text is text; a number is whole; money is minor units, shown with the currency's own digits; a moment is
    shown in the report's time zone.
    """

    name: str
    kind: Kind
    about: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about, and the database that it is read from."""

    environment_id: str
    currency: str
    start: datetime
    end: datetime
    timezone: str
    using: str

    @property
    def actor(self) -> Actor:
        """Whoever reads the books here."""
        return system(self.environment_id, "Reports")

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)

    def local(self, at: datetime) -> datetime:
        """Return a moment by the clocks of the report's zone."""
        return at.astimezone(self.zone)

    @property
    def about(self) -> dict[str, str]:
        """What a file says of itself."""
        return {
            "currency": self.currency,
            "timezone": self.timezone,
            "interval_start_at": self.local(self.start).isoformat(),
            "interval_end_at": self.local(self.end).isoformat(),
        }


@dataclass(frozen=True)
class ReportType:
    """
    A type of report.

    :param rows: yields the rows in a fixed order, in flat memory, from the scope's database and within its interval.
        Unless the type says otherwise it follows from facts that never change.
    :param controls: what the rows must come to, by a query of its own: ``rows``, the name of a money column for its
        sum, or ``column=value`` for the sum of :attr:`amount` over the rows with that value in that column.
    :param amount: the money column that is summed up by the columns in :attr:`groups`.
    :param watches: the models whose writers must have committed before the books are read.
    """

    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    rows: Callable[[Scope], Iterator[Row]]
    controls: Callable[[Scope], Totals]
    watches: tuple[type[Model], ...]
    amount: str = ""
    groups: tuple[str, ...] = ()
    formats: tuple[str, ...] = (Format.CSV, Format.XLSX)
    is_fixed: bool = True
    """Whether the same interval always has the same rows; else it shows what is known by now of what moved in it."""
    is_of_a_moment: bool = False
    """Whether it shows how things stood at the end of the interval, whatever its start."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What writers of a format of its own need to know."""


_types: dict[str, ReportType] = {}


def declare(report_type: ReportType) -> ReportType:
    """Make a type known."""
    _types[report_type.name] = report_type
    return report_type


def types() -> dict[str, ReportType]:
    """Return every type by its name, in order of names."""
    return dict(sorted(_types.items()))


Confirm = Callable[[Scope, str, str], str]
"""Given a scope, a type and the hash of the contents: what is wrong with it, in words; nothing if all is well."""

_confirms: list[Confirm] = []


def confirms(check: Confirm) -> Confirm:
    """Register a check of the finished contents, such as against a period that was closed."""
    _confirms.append(check)
    return check


def problems_of(scope: Scope, report_type: str, content_sha256: str) -> list[str]:
    """Return what the registered checks find wrong with the contents of a report."""
    return [found for check in _confirms if (found := check(scope, report_type, content_sha256))]


class Tally:
    """Adds up rows as they go by."""

    def __init__(self, report_type: ReportType):
        names = [column.name for column in report_type.columns]
        self._money = [
            (index, column.name) for index, column in enumerate(report_type.columns) if column.kind == "money"
        ]
        self._groups = [(names.index(name), name) for name in report_type.groups]
        self._amount = names.index(report_type.amount) if report_type.amount else -1
        self.rows = 0
        self._sums = [0] * len(self._money)
        self._by_group: dict[tuple[str, str], int] = {}

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        for place, (index, _) in enumerate(self._money):
            self._sums[place] += row[index] or 0
        for index, name in self._groups:
            key = (name, row[index])
            self._by_group[key] = self._by_group.get(key, 0) + row[self._amount]

    @property
    def totals(self) -> Totals:
        """What it all comes to."""
        sums = {name: total for (_, name), total in zip(self._money, self._sums, strict=True)}
        groups = {f"{name}={value}": total for (name, value), total in sorted(self._by_group.items())}
        return {ROWS: self.rows, **sums, **groups}


def differences(found: Totals, expected: Totals) -> list[str]:
    """Say where two sets of totals differ. What only one of them names counts as nothing in the other, if a group."""
    names = [*expected, *(name for name in found if "=" in name and name not in expected)]
    return [
        f"{name} is {found.get(name, 0)} by its rows and {expected.get(name, 0)} by the books"
        for name in names
        if found.get(name, 0) != expected.get(name, 0)
    ]
