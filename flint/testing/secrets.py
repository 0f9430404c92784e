"""Looking for secrets: all that is stored, read past every model, and all that is logged, as production writes it."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.db import connection
from psycopg import sql

from flint import logs

TEXT_COLUMNS = """
    SELECT table_schema, table_name, column_name FROM information_schema.columns
    JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
      AND (data_type IN ('text', 'character varying', 'character', 'json', 'jsonb', 'ARRAY', 'bytea', 'USER-DEFINED'))
    ORDER BY 1, 2, 3
"""


def columns_of_text() -> list[tuple[str, str, str]]:
    """Return every column of every table that can hold a text, as schema, table and column."""
    with connection.cursor() as cursor:
        cursor.execute(TEXT_COLUMNS)
        return cursor.fetchall()


def everything_stored() -> dict[tuple[str, str], str]:
    """Return what each table and column holds, as the database has it: no model, no field, no unsealing between."""
    found = {}
    with connection.cursor() as cursor:
        for schema, table, column in columns_of_text():
            query = sql.SQL("SELECT string_agg({column}::text, E'\\n') FROM {table}").format(
                column=sql.Identifier(column), table=sql.Identifier(schema, table)
            )
            cursor.execute(query)
            found[f"{schema}.{table}", column] = cursor.fetchone()[0] or ""
    return found


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """Write whatever the block logs at any level, as production would."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=logs.SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    # At its finest Django writes every statement with its values and every template's context, for developers alone.
    chatty = {each: each.level for each in map(logging.getLogger, ("django.db.backends", "django.template"))}
    for each in chatty:
        each.setLevel(logging.INFO)
    try:
        yield written
    finally:
        for each, before in chatty.items():
            each.setLevel(before)
        root.setLevel(level)
        root.removeHandler(handler)


def secrets_in(answer: Any, name: str = "") -> set[str]:
    """Return every text of an answer whose name says that it is a secret or a credential."""
    if isinstance(answer, dict):
        return {found for key, value in answer.items() for found in secrets_in(value, key)}
    if isinstance(answer, list):
        return {found for value in answer for found in secrets_in(value, name)}
    is_secret = any(word in name for word in ("secret", "auth_token", "password"))
    return {answer} if is_secret and isinstance(answer, str) and answer else set()
