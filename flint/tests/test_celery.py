"""After the commit: what is sent, what is not, and what a broker that is down costs."""

import os
import socket
import subprocess
import sys
import time

import pytest
from celery import shared_task
from django.conf import settings
from django.db import transaction

from flint import broker, celery
from flint.celery import after_commit, collecting


@shared_task(name="flint.tests.note")
def note(*, word: str) -> None:
    """Does nothing; only ever sent."""


@pytest.fixture
def publisher(monkeypatch):
    """The publisher as a new process has it."""
    publisher = celery.Publisher()
    monkeypatch.setattr(celery, "_deliver", publisher)
    return publisher


@pytest.mark.django_db(transaction=True)
def test_a_task_is_sent_when_the_transaction_commits_and_not_before():
    with collecting() as sent:
        with transaction.atomic():
            after_commit(note, word="a")
            assert sent == []
        assert sent == [(note, {"word": "a"})]


@pytest.mark.django_db(transaction=True)
def test_a_rollback_sends_nothing():
    with collecting() as sent, pytest.raises(ZeroDivisionError), transaction.atomic():
        after_commit(note, word="a")
        1 / 0  # noqa: B018
    assert sent == []


@pytest.mark.django_db(transaction=True)
def test_collecting_ends_with_its_block(publisher):
    with collecting() as sent:
        pass
    after_commit(note, word="a")
    assert sent == []
    assert publisher.lost == 0, "it goes to the broker again"


SEND = """
import sys, time, django
django.setup()
from flint import celery
from flint.tests.test_celery import note
begun = time.monotonic()
for _ in range(50):
    celery.send(note, {"word": "a"})
print(celery.publish.lost, time.monotonic() - begun)
"""


@pytest.mark.parametrize("kind", ["refused", "silent", "database"])
def test_a_broker_that_is_down_neither_fails_nor_holds_up_a_request(kind):
    """Fifty sends from a fresh process: to a closed port, to one where nobody answers, to a database that is gone."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = 1 if kind != "silent" else silent.getsockname()[1]
        environment = {**os.environ, "FLINT_BROKER_URL": f"redis://127.0.0.1:{port}/0"}
        if kind == "database":
            environment |= {"FLINT_BROKER_URL": "postgresql", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
        done = subprocess.run(
            [sys.executable, "-c", SEND], capture_output=True, text=True, env=environment, cwd=settings.BASE_DIR
        )
    lost, seconds = done.stdout.split()
    assert lost == "50", done.stderr
    # Fifty tries of a second each would show on the fastest machine, one of them on none.
    assert float(seconds) < 25, "one bounded try; the others do not even try"
    assert "task_left_to_the_sweep" in done.stderr


@pytest.mark.django_db(transaction=True)
def test_postgresql_carries_messages_and_gives_back_what_nobody_finished():
    """A message read and not acknowledged, as by a worker that was killed, comes again."""
    options = {**celery.BROKERS["postgresql"], "visibility_timeout": 1}
    transport = {"transport": "flint.broker:Transport", "transport_options": options}
    try:
        with celery.app.connection("pgmq://database", **transport) as first:
            first.SimpleQueue("flint_test").put({"word": "a"})
            assert first.SimpleQueue("flint_test").get(timeout=30).payload == {"word": "a"}
        with celery.app.connection("pgmq://database", **transport) as second:
            again = second.SimpleQueue("flint_test").get(timeout=30)
            assert again.payload == {"word": "a"}
            again.ack()
    finally:
        broker.close()


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_back_is_used_again(publisher):
    publisher.silent_until = time.monotonic() + celery.SILENCE_SECONDS
    after_commit(note, word="a")
    assert publisher.lost == 1

    publisher.silent_until = time.monotonic()
    after_commit(note, word="b")
    assert publisher.lost == 1
