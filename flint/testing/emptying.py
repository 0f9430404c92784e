"""Leaving the database empty after a test that commits: by deleting what there is, not by truncating everything."""

from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase

KEPT = {"django_migrations", "django_content_type", "auth_permission"}
"""What the migrations made, and every test finds."""


def empty(test: TransactionTestCase | None = None) -> None:
    """
    Delete every row that a test left.

    Django truncates every table, however empty, and makes content types and permissions anew: that took most of the
    time of a small test. Guards and foreign keys look away here, which only a superuser may ask of them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('is_superuser')")
        if cursor.fetchone() != ("on",):
            call_command("flush", verbosity=0, interactive=False, allow_cascade=False)
            return
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        asked = [f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")" for table in tables if table not in KEPT]
        cursor.execute(" UNION ALL ".join(asked))
        filled = [table for (table,) in cursor.fetchall()]
        with transaction.atomic():
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table in filled:
                cursor.execute(f'DELETE FROM "{table}"')


def install() -> None:
    """Have every test that commits end so."""
    TransactionTestCase._fixture_teardown = empty
