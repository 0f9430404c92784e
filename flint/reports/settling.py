"""
Knowing that the books of an interval are complete.

An entry carries the time at which it was written, but shows only when its transaction commits. So whoever reads up to
a moment first makes sure that no transaction is still open that may have written before it. Transactions are numbered
when they first write: the *watermark* is the number of one that began to write after that moment. Once all older ones
that write to the tables in question have ended, what they wrote shows, or never will.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, connections
from django.db.models import Model

MARGIN = timedelta(seconds=2)
"""How far the clocks of our own servers may differ, and how long writing an entry may take once it has its time."""

WRAPS_AT = 2**32
"""Locks show the lower half of a transaction's number only; none that is open is more than half a round old."""

OPEN_WRITERS = """
    SELECT COUNT(*)
    FROM pg_locks held
    JOIN pg_locks writes ON writes.virtualtransaction = held.virtualtransaction
    WHERE held.locktype = 'transactionid' AND held.mode = 'ExclusiveLock'
        AND (%(mark)s - held.transactionid::text::bigint + %(round)s) %% %(round)s BETWEEN 1 AND %(round)s / 2
        AND writes.locktype = 'relation' AND writes.mode = 'RowExclusiveLock'
        AND writes.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND writes.relation = ANY(%(tables)s::regclass[])
"""


def watermark() -> int:
    """Return the number of the open transaction, which begins to write by it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return cursor.fetchone()[0]


def is_settled(mark: int, models: Iterable[type[Model]]) -> bool:
    """Tell whether no transaction from before a watermark that writes to these models' tables is open any more."""
    tables = [model._meta.db_table for model in models]
    with connection.cursor() as cursor:
        cursor.execute(OPEN_WRITERS, {"mark": mark % WRAPS_AT, "round": WRAPS_AT, "tables": tables})
        return cursor.fetchone()[0] == 0


def position() -> str:
    """Return how far the main database has written by now, for a replica to come up to."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
        return cursor.fetchone()[0]


def has_caught_up(using: str, position: str) -> bool:
    """Tell whether a database shows what the main one had written by a position. It does if it is that one."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        if not cursor.fetchone()[0]:
            return True
        cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position])
        return bool(cursor.fetchone()[0])


def is_over(end: datetime, at: datetime) -> bool:
    """Tell whether an interval has ended by every clock."""
    return at >= end + MARGIN
