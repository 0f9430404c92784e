"""/healthz and /readyz, and that a missing broker or database costs no more than a moment."""

import psycopg
import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext

from flint import celery


def test_healthz_needs_nothing(client, settings):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_readyz_names_every_part(client):
    response = client.get("/readyz")
    assert response.status_code == 200, response.json()
    assert response.json() == {"status": "ok", "database": "ok", "broker": "ok", "migrations": "ok"}
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_readyz_is_cheap(client):
    client.get("/readyz")
    with CaptureQueriesContext(connection) as queries:
        client.get("/readyz")
    assert len(queries) <= 3


@pytest.mark.django_db
def test_a_migration_that_was_not_applied_is_not_ready(client):
    MigrationRecorder(connection).record_unapplied("flint", "0001_pgmq")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": "ok", "broker": "ok", "migrations": "unavailable"}


def test_a_database_out_of_reach_is_not_ready_but_alive(client, monkeypatch, django_db_blocker):
    def refuse(self, params):
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(DatabaseWrapper, "get_new_connection", refuse)
    with django_db_blocker.unblock():
        connection.close()
        response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"] == "unavailable"
    assert "refused" not in response.content.decode()
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db
def test_a_broker_out_of_reach_is_not_ready(client, broker_out_of_reach):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": "ok", "broker": "unavailable", "migrations": "ok"}


@pytest.fixture
def broker_out_of_reach(monkeypatch):
    """A broker address where nobody listens."""
    monkeypatch.setattr(
        celery.app, "connection_for_write", lambda: celery.app.connection("redis://127.0.0.1:1/0", connect_timeout=1)
    )
