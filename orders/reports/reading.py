"""Reading the ledger for reports: one interval of one environment and currency, in flat memory."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from flint.reports.registry import Scope
from orders.models import LedgerEntry

CHUNK = 2_000


def entries(scope: Scope) -> QuerySet[LedgerEntry]:
    """Return the ledger entries of an interval, in the order in which they were booked."""
    return (
        LedgerEntry.objects.using(scope.using)
        .filter(
            environment_id=scope.environment_id,
            currency=scope.currency,
            created_at__gte=scope.start,
            created_at__lt=scope.end,
        )
        .order_by("created_at", "id")
    )


def streamed(rows: QuerySet) -> Iterator[Any]:
    """Yield rows through a cursor of the server's, so that however many there are, only some are here."""
    return rows.iterator(chunk_size=CHUNK)


def select(scope: Scope, sql: str, **parameters: Any) -> list[tuple]:
    """Return the rows of a statement. It may use %(environment)s, %(currency)s, %(start)s and %(end)s."""
    with connections[scope.using].cursor() as cursor:
        cursor.execute(sql, _named(scope) | parameters)
        return cursor.fetchall()


def walk(scope: Scope, sql: str, **parameters: Any) -> Iterator[tuple]:
    """Yield the rows of a statement through a cursor of the server's; otherwise as :func:`select`."""
    connection = connections[scope.using]
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, _named(scope) | parameters)
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


def by_name(rows: Sequence[tuple[str, Any]]) -> dict[str, int]:
    """Return sums by their names, as whole numbers."""
    return {name: int(total) for name, total in rows}


def _named(scope: Scope) -> dict[str, Any]:
    return {
        "environment": scope.environment_id,
        "currency": scope.currency,
        "start": scope.start,
        "end": scope.end,
    }
