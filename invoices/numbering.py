"""Giving documents their numbers: per environment and series from one, without gaps, without repeats."""

from django.db import connection

from flint.merchants.settings.reading import section_of
from invoices.models.numbers import NumberSeries, Series

DIGITS = 6
PREFIXES = {Series.INVOICE: "invoice_number_prefix", Series.CREDIT_NOTE: "credit_note_number_prefix"}

COUNT_ON = f"""
    INSERT INTO {NumberSeries._meta.db_table} (environment_id, series, last) VALUES (%s, %s, 1)
    ON CONFLICT (environment_id, series) DO UPDATE SET last = {NumberSeries._meta.db_table}.last + 1
    RETURNING last
"""


def next_number(environment_id: str, series: Series, *, prefix: str | None = None) -> tuple[int, str]:
    """
    Return the next count of a series, and the number as it is printed: ``INV-000001``.

    Whoever issues at the same time waits until this transaction ends. If it rolls back, the number is the next one's.

    :param prefix: the merchant's, if it was read already.
    """
    if prefix is None:
        prefix = section_of(environment_id, "invoices")[PREFIXES[series]] or ""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_ON, [environment_id, str(series)])
        (count,) = cursor.fetchone()
    return count, f"{prefix}{count:0{DIGITS}d}"
