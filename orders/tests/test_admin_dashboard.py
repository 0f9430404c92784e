"""The first page in numbers: each is the sum or the count of the list that it links to, and of the ledger."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from flint.merchants.models import Role
from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import eur, line
from orders.models import LedgerEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def support(merchant):
    return signed_in(merchant, Role.SUPPORT)


@pytest.fixture
def sales(environment):
    paid = stories.paid_order(environment, line(20_00))
    stories.paid_order(environment, line(7_50))
    stories.refund(paid, amount_money=eur(5_00))
    stories.deliver_notices(environment)
    stories.open_order(environment, line(3_00))


def board(browser, environment, **query):
    return page(browser.get(reverse("admin:index"), {"environment": environment.id, **query}))


def tiles(text):
    found = re.findall(r"<dt>(.*?)</dt><dd>(?:<a class=\"fl-link\" href=\"(.*?)\">)?(.*?)(?:</a>|<span|</dd>)", text)
    return {label: (value, unescape(url)) for label, url, value in found}


def test_every_number_equals_its_list_and_the_ledger(support, environment, sales):
    found = tiles(board(support, environment))

    assert found["Collected"][0] == "€27.50"
    assert found["Refunded"][0] == "€5.00"
    assert found["Net"][0] == "€22.50"
    assert found["Outstanding"][0] == "€3.00"
    for name in ("Collected", "Refunded"):
        assert f"These entries come to <strong>{found[name][0]}</strong>" in page(support.get(found[name][1]))
    captured = LedgerEntry.objects.filter(environment=environment, kind="capture")
    assert sum(entry.amount for entry in captured) == 27_50

    assert found["Went through"][0] == "2"
    listed = page(support.get(found["Went through"][1]))
    assert listed.count('class="field-created') == 2 or listed.count("field-created") >= 2
    owed = page(support.get(found["Outstanding"][1]))
    assert "€3.00" in owed and "€20.00" not in owed


def test_only_the_days_that_were_chosen(support, environment, sales):
    entry = LedgerEntry.objects.filter(environment=environment, kind="capture", amount=7_50).get()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE orders_ledgerentry SET created_at = %s WHERE id = %s",
            [timezone.now() - timedelta(days=20), entry.id],
        )
        cursor.execute("SET LOCAL session_replication_role = origin")

    assert tiles(board(support, environment, days=30))["Collected"][0] == "€27.50"
    week = tiles(board(support, environment, days=7))
    assert week["Collected"][0] == "€20.00"
    assert "€20.00</strong>" in page(support.get(week["Collected"][1]))


def test_the_chart_is_a_table_as_well(support, environment, sales):
    text = board(support, environment, days=7)

    assert text.count('<rect class="fl-bar-up"') == 7
    assert text.count('<th scope="row">') == 7
    assert "<td>€27.50</td><td>€5.00</td><td>€22.50</td>" in text


@pytest.mark.parametrize("query", [{"days": "x"}, {"currency": "'"}, {"environment": "env_x"}, {"days": "9" * 30}])
def test_choices_that_are_none(support, environment, sales, query):
    assert "How sales go" in page(support.get(reverse("admin:index"), query))


def test_nothing_sold_and_nobodys_staff(support, environment):
    assert "Nothing has been sold here yet." in board(support, environment)
    assert "How sales go" not in page(signed_in(None).get(reverse("admin:index"), {"environment": environment.id}))


def test_numbers_of_another_merchant_are_not_shown(environment, sales):
    text = page(signed_in(None).get(reverse("admin:index"), {"environment": environment.id}))

    assert "27.50" not in text


def test_as_many_statements_for_many_orders_as_for_few(support, environment, sales):
    board(support, environment)
    with CaptureQueriesContext(connection) as few:
        board(support, environment)
    for _ in range(5):
        stories.paid_order(environment, line(1_00))
    with CaptureQueriesContext(connection) as many:
        board(support, environment)
    assert len(many) == len(few)


def test_links_keep_to_environment_and_currency(support, environment, sales):
    _, url = tiles(board(support, environment))["Collected"]
    query = dict(parse_qsl(urlsplit(url).query))

    assert query["environment"] == environment.id
    assert query["currency"] == "EUR"
