"""The order list and the order page of the admin."""

import re
import zoneinfo
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from flint.actors import Actor
from flint.events.models import Event
from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from flint.testing.stories import line
from orders import services
from orders.admin import history as history_module
from orders.admin.registry import event_words
from orders.models import LedgerEntry, Order

LIST = "admin:orders_order_changelist"


@pytest.fixture
def support(merchant):
    return signed_in(merchant, "support", first_name="Sam", last_name="Lee")


def show(browser, order, **query) -> str:
    return page(browser.get(reverse("admin:orders_order_change", args=[order.id]), query))


def found(browser, **query) -> set[str]:
    """Return the ids of the orders that a list shows."""
    return set(re.findall(r"/admin/orders/order/(ord_\w+)/change/", page(browser.get(reverse(LIST), query))))


def cells(text: str, name: str) -> list[str]:
    """Return the cells of one column of the list."""
    return [
        re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(rf"field-{name}[^>]*>(.*?)</t[dh]>", text, re.S)
    ]


@pytest.fixture
def key(environment) -> Actor:
    return Actor(kind="key", environment_id=environment.id, id="key_1", label="Web shop", request_id="req-42")


# The list


def test_the_list_shows_number_statuses_customer_and_amounts(support, environment, key):
    ada = services.create_customer(data={"email": "ada@buyer.example", "name": "Ada"}, actor=key)
    order = stories.paid_order(environment, total=10_000, customer_id=ada.id)
    stories.refund(order, amount_money=stories.eur(2_500))
    text = page(support.get(reverse(LIST)))
    assert cells(text, "number")[0] == order.order_number
    assert " ".join(cells(text, "statuses")[0].split()) == "Open Paid Partially refunded"
    assert "fl-badge-good" in text and "fl-badge-warn" in text
    assert cells(text, "customer_name") == ["Ada"]
    columns = ("total", "paid", "refunded", "outstanding")
    assert [cells(text, column)[0] for column in columns] == ["€100.00", "€100.00", "€25.00", "€0.00"]


def test_the_list_takes_as_many_statements_for_many_orders_and_counts_nothing(support, environment, key):
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert support.get(reverse(LIST)).status_code == 200
        return [query["sql"] for query in captured]

    stories.paid_order(environment)
    first = queries()
    for number in range(12):
        ada = services.create_customer(data={"email": f"ada{number}@buyer.example"}, actor=key)
        stories.open_order(environment, customer_id=ada.id)
    many = queries()
    assert len(many) == len(first) <= 8
    assert not [sql for sql in many if "COUNT(" in sql.upper()]


def test_the_next_page_goes_on_where_the_first_ends(support, environment, monkeypatch):
    monkeypatch.setattr(admin.site._registry[Order], "list_per_page", 2)
    orders = [stories.open_order(environment) for _ in range(3)]
    assert found(support) == {orders[2].id, orders[1].id}
    assert found(support, p=2) == {orders[0].id}


@pytest.fixture
def sold(environment, key) -> Order:
    """An order with everything by which one may be looked for; there is another one, with nothing of it."""
    stories.refund(stories.paid_order(environment))
    ada = services.create_customer(data={"email": "Ada@Lovelace.example", "name": "Ada Lovelace"}, actor=key)
    order = stories.open_order(environment, external_reference_id="WEB-7741", customer_id=ada.id)
    Order.objects.filter(id=order.id).update(contact_email="Books@Buyer.example")
    stories.pay(order, payment_source={"token": "pm_card_amex"})
    stories.refund(order, amount_money=stories.eur(100))
    return order


@pytest.mark.parametrize(
    "term",
    [
        lambda order: order.order_number,
        lambda order: order.order_number.lower(),
        lambda order: order.order_number.replace("-", ""),
        lambda order: order.order_number[:7],
        lambda order: order.id,
        lambda order: order.id[:24],
        lambda order: f" {order.id.lower()} ",
        lambda order: "ada@lovelace.example",
        lambda order: "ADA@LOVE",
        lambda order: "ada love",
        lambda order: "books@buyer.example",
        lambda order: "books@",
        lambda order: "WEB-7741",
        lambda order: "WEB-77",
        lambda order: order.payment_intents.get().id,
        lambda order: order.refunds.get().id,
        lambda order: "8431",
    ],
)
def test_an_order_is_found_by(term, support, sold):
    assert found(support, q=term(sold)) == {sold.id}


@pytest.mark.parametrize(
    "term", ["nobody@nowhere.example", "0000", "ord_x", "pi_1", "ref_1", "%", "_", "\\", "'", "(", "zz"]
)
def test_what_is_not_there_is_not_found(term, support, sold):
    assert found(support, q=term) == set()


def test_a_search_takes_a_fixed_number_of_statements(support, sold, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        found(support, q="ada")


def test_the_list_is_filtered_by_statuses_currency_date_and_environment(support, environment, merchant):
    paid = stories.paid_order(environment)
    unpaid = stories.open_order(environment, currency="JPY", total=500)
    closed = services.close_order(
        order_id=stories.open_order(environment).id, reason="", actor=stories.actor_in(environment)
    )
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    assert found(support, payment_status__exact="paid") == {paid.id}
    assert found(support, status__exact="closed") == {closed.id}
    assert found(support, refund_status__exact="refunded") == set()
    assert found(support, currency="JPY") == {unpaid.id}
    assert found(support, created_at__gte=yesterday) == {paid.id, unpaid.id, closed.id}
    assert found(support, created_at__lt=yesterday) == set()
    assert found(support, environment=environment.id) == {paid.id, unpaid.id, closed.id}
    live = merchant.environments.get(kind="live")
    assert found(support, environment=live.id) == set()


# The page


def test_the_page_shows_the_amounts_with_the_currencys_own_digits(support, environment):
    for currency, total, text in (("EUR", 12_345, "€123.45"), ("JPY", 12_345, "¥12,345"), ("KWD", 12_345, "KWD")):
        order = stories.open_order(environment, total=total, currency=currency)
        shown = show(support, order)
        assert text in shown and Money(total, currency).text() in shown


def test_the_page_shows_lines_charges_discounts_and_what_was_refunded(support, environment, key):
    discount = {"manual": {"name": "Welcome", "amount_money": stories.eur(500)}}
    order = stories.open_order(environment, line(1_000, quantity=3, name="Bag of <b>beans</b>"), discounts=[discount])
    charge = {"name": "Express", "type": "delivery_fee", "amount_money": stories.eur(700)}
    services.add_charge(order_id=order.id, charge=charge, actor=key)
    order = stories.pay(order).order
    bag = order.line_items.get()
    stories.refund(order, line_items=[{"order_line_item_id": bag.id, "quantity": 1}])
    shown = show(support, order)
    for text in ("Bag of &lt;b&gt;beans&lt;/b&gt;", "3 × €10.00", "Express", "€7.00", "Welcome", "-€5.00", "1 unit"):
        assert text in shown, text
    assert "<b>beans" not in shown
    assert "€8.33" in shown or "€8.34" in shown


def test_the_page_shows_payments_in_words_and_no_secret_of_the_buyer(support, environment):
    order = stories.open_order(environment, total=5_000)
    stories.pay(order, token="pm_card_chargeDeclinedInsufficientFunds")
    stories.pay(order, token="pm_card_threeDSecure2Required")
    waiting = order.payment_intents.get(status="requires_action").operations.get()
    shown = show(support, order)
    assert "Visa •••• 9995" in shown and "There is not enough money on the account." in shown and "Declined" in shown
    assert "Requires action" in shown and waiting.reference in shown
    secret, redirect_url = waiting.buyer_action.client_secret, waiting.buyer_action.redirect_url
    leg_page = page(support.get(reverse("admin:payments_paymentintent_change", args=[waiting.payment_intent_id])))
    assert secret and waiting.reference in leg_page
    for text in (shown, leg_page):
        assert secret not in text and escape(secret) not in text and "client_secret" not in text
        assert redirect_url is None or escape(redirect_url) not in text


def test_the_page_shows_what_is_held(support, environment):
    order = stories.held_order(environment, total=4_200)
    shown = show(support, order)
    assert re.search(r"<dt>Held</dt><dd>€42.00", shown)
    assert "A payment is in progress" in shown and "Money held, not taken yet" in shown


def test_the_page_shows_refunds_and_why_they_failed(support, environment):
    order = stories.open_order(environment)
    stories.pay(order, payment_source={"token": "pm_card_refundFail"})
    stories.refund(order, reason="defective_product", reason_message="It arrived broken.")
    shown = show(support, order)
    assert "Defective product" in shown and "It arrived broken." in shown and "Succeeded" in shown
    stories.time_passes(environment, timezone.now() + timedelta(days=1))
    shown = show(support, order)
    assert "Failed: expired or canceled card." in shown
    assert "Refund failed after it had been reported as done" in shown


def test_a_pending_refund_shows_beside_the_amounts(support, environment):
    order = stories.open_order(environment)
    stories.pay(order, payment_source={"token": "pm_card_pendingRefund"})
    stories.refund(order, amount_money=stories.eur(1_500))
    assert re.search(r"<dt>Refund on its way</dt><dd>€15.00", show(support, order))


# The history


def rows_of(text: str) -> list[str]:
    """Return the rows of the history, their markup taken off."""
    history = text[text.index('class="fl-events"') :]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<li>(.*?)</li>", history, re.S)]


def test_the_history_is_every_event_oldest_first_with_its_running_balance(support, environment, key):
    order, _ = services.create_order(actor=key, data={"line_items": [line(10_000)]})
    stories.pay(order, token="pm_card_chargeDeclined")
    stories.pay(order)
    stories.refund(order, amount_money=stories.eur(4_000), reason="duplicate")
    rows = rows_of(show(support, order))
    events = list(Event.objects.filter(order_id=order.id).order_by("sequence"))
    assert len(rows) == len(events) == Order.objects.get(id=order.id).event_count
    for row, event in zip(rows, events, strict=True):
        assert row.startswith(f"{event.sequence} ")
        assert event.id in row and event.type in row
        assert Money(event.balance_amount, "EUR").text() in row
    assert "API key Web shop Order created through the API with 1 line €100.00 +€100.00 €100.00" in rows[0]
    assert "req-42" in rows[0]
    texts = ["Order created", "Payment started", "Payment declined: card declined", "Payment started"]
    texts += ["Payment received", "Refund promised: duplicate", "Refund paid out"]
    assert [text in row for text, row in zip(texts, rows, strict=True)] == [True] * 7
    assert "-€100.00 €0.00" in rows[4]


def test_an_event_unfolds_to_its_ledger_entries(support, environment):
    order = stories.paid_order(environment, total=10_000)
    stories.refund(order, amount_money=stories.eur(4_000))
    rows = rows_of(show(support, order))
    for entry in LedgerEntry.objects.filter(order_id=order.id).select_related("event"):
        words = [entry.kind, entry.debit, entry.credit]
        text = " ".join(word.replace("_", " ").capitalize() for word in words)
        assert f"{entry.sequence} {text} {entry.money}" in rows[entry.event.sequence - 1]
    assert "No money moved between accounts." in rows[1]


def test_a_long_history_is_paged_and_says_so(support, environment, key, monkeypatch):
    monkeypatch.setattr(history_module, "PAGE", 4)
    order = stories.open_order(environment)
    for number in range(9):
        services.add_note(order_id=order.id, text=f"Remark {number}", actor=key)
    pages = [rows_of(show(support, order, history=number)) for number in (1, 2, 3)]
    assert [int(row.split()[0]) for rows in pages for row in rows] == list(range(1, 11))
    first = show(support, order)
    assert "Events 1 to 4 of 10" in " ".join(first.split()) and "history=2" in first
    for odd in ("0", "99", "x", "-1", "9" * 30, "²"):
        assert rows_of(show(support, order, history=odd))


def test_times_are_in_the_zone_of_the_merchant(support, environment, merchant):
    order = stories.open_order(environment)
    merchant.reporting_timezone = "Pacific/Kiritimati"
    merchant.save()
    local = timezone.localtime(order.created_at, zoneinfo.ZoneInfo("Pacific/Kiritimati"))
    shown = show(support, order)
    assert "times in Pacific/Kiritimati" in shown and f"{local:%H:%M}" in shown


def test_every_kind_of_event_has_words_of_its_own():
    """Every name that the services record an event under, read from their source."""
    recorded = re.compile(r"(?:events\.record\(\s*\w+(?:\.\w+)?,|\.tell\()\s*((?:\"[a-z_.]+\"(?: if \w+ else )?)+)")
    sources = [
        path for room in ("orders", "payments", "refunds") for path in Path(settings.BASE_DIR, room).rglob("*.py")
    ]
    text = "\n".join(path.read_text() for path in sources if "tests" not in path.parts)
    types = {name for group in recorded.findall(text) for name in re.findall(r'"([a-z_.]+)"', group)}
    types |= set(re.findall(r'type = "(payment[a-z_.]+)"|else "(payment\.[a-z_]+)"', text)[0]) - {""}
    types |= {f"checkout_session.{word}" for word in ("completed", "closed", "expired", "invalidated")}
    assert len(types) > 20
    assert types <= set(event_words)


def test_the_page_takes_as_many_statements_for_a_long_order(support, environment, key):
    def count(order) -> int:
        with CaptureQueriesContext(connection) as captured:
            show(support, order)
        return len(captured)

    short = stories.paid_order(environment, line(1_000))
    stories.refund(short, amount_money=stories.eur(100))
    long = stories.open_order(environment, *[line(1_000, name=f"Cup {n}") for n in range(12)])
    stories.pay(long, token="pm_card_chargeDeclined")
    stories.pay(long)
    services.add_note(order_id=long.id, text="Long.", actor=key)
    for _ in range(3):
        stories.refund(long, amount_money=stories.eur(100))
    assert count(long) == count(short) <= 35


# Notes


def test_a_note_is_added_in_the_staff_members_name(support, environment):
    order = stories.paid_order(environment, total=1_000)
    url = reverse("admin:orders_order_note", args=[order.id])
    response = support.post(url, {"text": "Called the buyer.\r\n<script>all</script> is well."}, follow=True)
    shown = page(response)
    assert response.redirect_chain == [(reverse("admin:orders_order_change", args=[order.id]), 302)]
    assert "The note is in the history." in shown
    assert "&lt;script&gt;all&lt;/script&gt; is well." in shown and "<script>all" not in shown
    note = Event.objects.get(order_id=order.id, type="order.note_added")
    assert (note.actor_kind, note.actor_id, note.actor_label) == ("staff", str(support.user.pk), "Sam Lee")
    assert note.request_id and note.data["text"].startswith("Called the buyer.\n")
    assert "Staff Sam Lee Note Called the buyer." in rows_of(shown)[-1]
    assert_books(order, paid=1_000, outstanding=0)


@pytest.mark.parametrize(("text", "words"), [("  \n", "Write the note first."), ("x" * 5_001, "at most 5000")])
def test_a_note_that_is_refused_comes_back_to_be_corrected(text, words, support, environment):
    order = stories.open_order(environment)
    before = order.event_count
    response = support.post(reverse("admin:orders_order_note", args=[order.id]), {"text": text})
    assert response.status_code == 400
    assert words in response.content.decode() and text.strip() in response.content.decode()
    assert Event.objects.filter(order_id=order.id).count() == before


def test_a_note_is_not_added_by_looking(support, environment):
    order = stories.open_order(environment)
    assert support.get(reverse("admin:orders_order_note", args=[order.id])).status_code == 405
    assert support.post(reverse("admin:orders_order_change", args=[order.id]), {"text": "x"}).status_code == 405


def test_a_note_needs_the_token_of_a_form(merchant, environment):
    order = stories.open_order(environment)
    browser = signed_in(merchant, "support")
    browser.handler.enforce_csrf_checks = True
    url = reverse("admin:orders_order_note", args=[order.id])
    assert browser.post(url, {"text": "Forged"}).status_code == 403
    assert not Event.objects.filter(order_id=order.id, type="order.note_added").exists()
