"""
Counting events for metrics. One row per type is added to, by one worker at a time and apart from any sale, so that no
sale waits for a counter. Each event is counted once; restarts and the number of processes make no difference.
"""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone
from ulid import ULID

SETTLES_AFTER = timedelta(seconds=60)
"""
How old an event must be to be counted. Ids are made before the commit that shows them, so a younger one might still be
overtaken; a transaction that stays open for longer than this would go uncounted.
"""

BATCH = 20_000
LOCK = 0x466C696E74

COUNT = """
    WITH mark AS (SELECT COALESCE(MAX(last_event_id), '') AS id FROM events_eventtally),
    fresh AS (
        SELECT event.id, event.type, event.environment_id FROM events_event event, mark
        WHERE event.id > mark.id AND event.id < %s
        ORDER BY event.id LIMIT %s
    ),
    counted AS (
        SELECT fresh.type, CASE environment.kind WHEN 'live' THEN 'live' ELSE 'test' END AS mode,
               COUNT(*) AS count, MAX(fresh.id) AS last_event_id
        FROM fresh JOIN merchants_environment environment ON environment.id = fresh.environment_id
        GROUP BY 1, 2
    ),
    added AS (
        INSERT INTO events_eventtally (type, mode, count, last_event_id)
        SELECT type, mode, count, last_event_id FROM counted
        ON CONFLICT (type, mode) DO UPDATE
        SET count = events_eventtally.count + EXCLUDED.count, last_event_id = EXCLUDED.last_event_id
        RETURNING 1
    )
    SELECT COALESCE(SUM(count), 0) FROM counted
"""


def tally_events(*, at: datetime | None = None, batch: int = BATCH) -> int:
    """Count what has happened since the last time, in batches; return how many. Nothing if somebody else is at it."""
    before = first_id_at((at or timezone.now()) - SETTLES_AFTER)
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return total
            cursor.execute(COUNT, [before, batch])
            count = int(cursor.fetchone()[0])
        total += count
        if count < batch:
            return total


def first_id_at(moment: datetime) -> str:
    """Return the least id that an event of a moment can have."""
    milliseconds = int(moment.timestamp() * 1000)
    return f"evt_{ULID.from_bytes(milliseconds.to_bytes(6) + bytes(10))}"
