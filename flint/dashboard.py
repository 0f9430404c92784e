"""
The first page of the admin in numbers: what came in and went back per day, and what rooms add as tiles.

Every number is counted by the same condition that its link's list is filtered by, so that it can be looked up.
"""

import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from flint.merchants.models import Environment
from flint.merchants.staff import Right, environments_of
from flint.money import Money

SPANS = (7, 30, 90)
MOST_TRIED = 5
"""In how many environments sales are looked for, when none is asked for."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at: one environment and currency, and whole days of the merchant's own zone, today the last."""

    environment: Environment
    currency: str
    days: tuple[date, ...]
    zone: zoneinfo.ZoneInfo

    @property
    def start(self) -> datetime:
        return datetime.combine(self.days[0], time(), self.zone)

    @property
    def end(self) -> datetime:
        """The start of the day after the last."""
        return datetime.combine(self.days[-1] + timedelta(days=1), time(), self.zone)

    def money(self, amount: int) -> Money:
        return Money(amount, self.currency)

    def link(self, list_name: str, **filters: str) -> str:
        """Return the address of a list, kept to the environment and to what ``filters`` say."""
        query = {"environment": self.environment.id, **filters}
        return f"{reverse(f'admin:{list_name}_changelist')}?{urlencode(query)}"

    @property
    def during(self) -> dict[str, str]:
        """The filters of a list that keep to these days."""
        return {"created_at__gte": self.start.isoformat(), "created_at__lt": self.end.isoformat()}


@dataclass(frozen=True, slots=True)
class Tile:
    """A number, what it is, and the list that it is the sum or the count of."""

    label: str
    value: str
    url: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of the chart: amounts as text, and how high its two bars are, of 100."""

    day: date
    came_in: str
    went_back: str
    net: str
    up: int
    down: int
    x: int
    up_y: int


Tiles = Callable[[Scope], list[Tile]]
Flows = Callable[[Scope], dict[date, tuple[int, int]]]
Currencies = Callable[[str], list[str]]

tiles: list[Tiles] = []
flows: list[Flows] = []
"""One function: for each day what came in and what went back, minor units."""
currencies: list[Currencies] = []
"""One function: the currencies of an environment, most used first."""


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to the first page's context what its numbers need; nothing for whoever may not see sales."""
    offered = environments_of(request.user, Right.READ_SALES)
    if not offered:
        return context
    environment = _chosen(request, offered)
    codes = currencies[0](environment.id)
    if not codes:
        return context | {"dashboard": {"environments": offered, "environment": environment, "scope": None}}
    currency = request.GET.get("currency", "")
    zone = zoneinfo.ZoneInfo(environment.merchant.reporting_timezone)
    span = next((days for days in SPANS if str(days) == request.GET.get("days")), 30)
    today = timezone.localtime(timezone.now(), zone).date()
    days = tuple(today - timedelta(days=back) for back in range(span - 1, -1, -1))
    scope = Scope(environment, currency if currency in codes else codes[0], days, zone)
    return context | {
        "dashboard": {
            "environments": offered,
            "environment": environment,
            "currencies": codes,
            "spans": SPANS,
            "span": span,
            "scope": scope,
            "tiles": [tile for make in tiles for tile in make(scope)],
            "bars": _bars(scope),
            "width": len(days) * 10,
        }
    }


def _chosen(request: HttpRequest, offered: list[Environment]) -> Environment:
    """Return the environment that was asked for, else the first with sales, those with real money before sandboxes."""
    asked = request.GET.get("environment", "")
    if named := [each for each in offered if each.id == asked]:
        return named[0]
    inviting = sorted(offered, key=lambda each: (not each.is_live, not each.is_default))[:MOST_TRIED]
    return next((each for each in inviting if currencies[0](each.id)), inviting[0])


def _bars(scope: Scope) -> list[Bar]:
    moved = flows[0](scope)
    highest = max((amount for both in moved.values() for amount in both), default=0) or 1
    bars = []
    for index, day in enumerate(scope.days):
        came_in, went_back = moved.get(day, (0, 0))
        up, down = _height(came_in, highest), _height(went_back, highest)
        texts = [scope.money(amount).text() for amount in (came_in, went_back, came_in - went_back)]
        bars.append(Bar(day, *texts, up=up, down=down, x=index * 10, up_y=100 - up))
    return bars


def _height(amount: int, highest: int) -> int:
    """Return how high a bar is, of 100; whatever moved can be seen."""
    return max(100 * max(amount, 0) // highest, 1 if amount > 0 else 0)
