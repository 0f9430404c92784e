"""A hundred writers who issue invoices and are killed while they do: no number is lost, and no order billed twice."""

import os
import random
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from flint.testing import stories
from flint.testing.books import check_guard
from invoices.models import Invoice, NumberSeries
from orders.models import Order

pytestmark = pytest.mark.django_db(transaction=True)

DRAFTS = WRITERS = 100


def database_url() -> str:
    """Return the address of the database that this test writes into."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


def test_d130_numbers_stay_without_gaps_when_writers_are_killed(environment, record_property):
    for number in range(DRAFTS):
        stories.draft_invoice(stories.open_order(environment, total=1_000 + number))
    seed = random.randrange(10**6)
    record_property("seed", seed)

    ended = subprocess.run(
        [sys.executable, "-m", "invoices.tests.writers", environment.id, str(WRITERS), str(seed)],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": database_url()},
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )

    assert ended.returncode == 0, (seed, ended.stderr[-2_000:])
    killed = int(ended.stdout.split()[-1])
    assert killed > 10, "too few died for this to show anything"
    invoices = list(Invoice.objects.filter(environment=environment).order_by("sequence"))
    assert [invoice.sequence for invoice in invoices] == list(range(1, DRAFTS + 1)), seed
    assert [invoice.number for invoice in invoices] == [f"INV-{number:06d}" for number in range(1, DRAFTS + 1)]
    assert len({invoice.order_id for invoice in invoices}) == DRAFTS
    assert NumberSeries.objects.get(environment=environment).last == DRAFTS
    for order in Order.objects.filter(environment=environment):
        assert order.events.filter(type="invoice.issued").count() == 1
        assert order.is_under_invoice
    check_guard()
