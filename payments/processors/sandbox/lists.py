"""Going through all that happened in a stretch of time: newest first, a page of rows in memory at once."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Q, QuerySet

from payments.processors.sandbox import faults

PAGE = 100

State = TypeVar("State")


def newest_first(
    rows: QuerySet,
    state: Callable[[Any], State],
    *,
    environment_id: str,
    since: datetime | None,
    until: datetime | None,
    moment: str = "created_at",
) -> Iterator[State]:
    """
    Go through the rows of an environment whose ``moment`` lies in the half-open window, if there is one.

    Each page starts behind the last row of the one before, so a row that is written meanwhile moves none out of view.
    """
    found = rows.filter(environment_id=environment_id)
    if since is not None:
        found = found.filter(**{f"{moment}__gte": since})
    if until is not None:
        found = found.filter(**{f"{moment}__lt": until})
    yield from faults.on_the_way(environment_id, "list", _pages(found, state, moment))


def _pages(found: QuerySet, state: Callable[[Any], State], moment: str) -> Iterator[State]:
    behind = Q()
    while True:
        page = list(found.filter(behind).order_by(f"-{moment}", "-reference")[:PAGE])
        yield from map(state, page)
        if len(page) < PAGE:
            return
        last, at = page[-1], getattr(page[-1], moment)
        behind = Q(**{f"{moment}__lt": at}) | Q(**{moment: at, "reference__lt": last.reference})
