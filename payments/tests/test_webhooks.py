"""What merchants are told of payments, as the contract has it, member by member."""

import json

import pytest

from flint.events.models import WebhookEvent
from flint.events.tests.telling import endpoint_at, publish
from flint.testing import stories
from flint.testing.stories import deliver_notices
from orders.services import add_line_items, create_customer
from payments.tests import acts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def heard(environment):
    """Somebody listens."""
    endpoint_at(environment, "https://shop.example.com/hooks")


def messages(environment, *, about: str = "") -> list[dict]:
    """Return what is told, in order, of one family or all."""
    publish()
    rows = WebhookEvent.objects.filter(environment=environment, type__startswith=about).order_by("position")
    return [json.loads(row.body) for row in rows]


def types(environment, *, about: str = "") -> list[str]:
    return [each["event_type"] for each in messages(environment, about=about)]


def test_a_sale_is_told_as_an_order_and_as_a_payment(environment):
    order = stories.paid_order(environment, stories.line(1_000, name="Tea"), stories.line(500, quantity=2, name="Cup"))
    leg = order.payment_intents.get()

    created, *rest = messages(environment)
    by_type = {each["event_type"]: each["data"] for each in rest}
    assert set(by_type) == {"order.paid", "payment_intent.succeeded"}
    paid = by_type["order.paid"]
    assert set(paid) == {
        "order_id",
        "status",
        "payment_status",
        "total_money",
        "paid_money",
        "outstanding_money",
        "order_payment_intent_ids",
        "line_items",
    }
    assert (paid["payment_status"], paid["order_payment_intent_ids"]) == ("paid", [leg.id])
    assert paid["total_money"] == paid["paid_money"] == {"amount": 2_000, "currency": "EUR"}
    assert paid["outstanding_money"] == {"amount": 0, "currency": "EUR"}
    assert [(each["name"], each["quantity"], each["total_money"]["amount"]) for each in paid["line_items"]] == [
        ("Tea", 1, 1_000),
        ("Cup", 2, 1_000),
    ]
    assert by_type["payment_intent.succeeded"] == {
        "payment_intent": {
            "payment_intent_id": leg.id,
            "status": "succeeded",
            "amount_money": {"amount": 2_000, "currency": "EUR"},
            "order_id": order.id,
        }
    }


def test_in_two_payments_it_is_partly_paid_first_and_each_message_shows_its_own_moment(environment, api):
    order = stories.open_order(environment)
    acts.confirm(api, order, acts.stage(api, order, 4_000), completion_behavior="partial_payment")
    acts.pay(api, order)

    told = messages(environment, about="order.pa")
    assert [each["event_type"] for each in told] == ["order.partially_paid", "order.paid"]
    assert [each["data"]["outstanding_money"]["amount"] for each in told] == [6_000, 0]
    assert [len(each["data"]["order_payment_intent_ids"]) for each in told] == [1, 2]


def test_d031_what_is_learned_late_is_told_once(environment, api):
    order = stories.open_order(environment)
    with acts.going_wrong(order, on="confirm", fault="lose_answer"):
        acts.pay(api, order)
    assert types(environment) == ["order.created"]

    for minutes in (1, 2):
        stories.sweep(at=acts.later(minutes=minutes))
    assert sorted(types(environment)) == ["order.created", "order.paid", "payment_intent.succeeded"]


def test_d057_answer_notice_and_sweep_together_are_told_once(environment, api):
    """The buyer's return, the processor's notice and the sweep all learn of one payment; one is told of."""
    order = stories.open_order(environment, total=5_900)
    with acts.going_wrong(order, on="confirm", fault="lose_answer"):
        acts.pay(api, order)
    at = acts.later(minutes=1)
    acts.at_once(
        lambda: stories.deliver_notices(environment),
        lambda: acts.pay(api, order),
        lambda: stories.sweep(at=at),
        lambda: publish(),
        lambda: publish(),
    )
    stories.deliver_notices(environment)
    stories.sweep(at=at)

    assert sorted(types(environment)) == ["order.created", "order.paid", "payment_intent.succeeded"]


def test_a_declined_payment(environment, api):
    order = stories.open_order(environment)
    acts.pay(api, order, acts.DECLINED)

    (failed,) = messages(environment, about="payment_intent")
    assert failed["event_type"] == "payment_intent.payment_failed"
    assert failed["data"]["payment_intent"]["status"] == "requires_payment_method"
    assert types(environment, about="order.p") == []


def test_a_buyer_who_must_confirm(environment, api):
    order = stories.open_order(environment)
    acts.authenticate(api, acts.pay(api, order, acts.THREE_D_SECURE))
    deliver_notices(environment)

    told = messages(environment, about="payment_intent")
    assert [each["event_type"] for each in told] == ["payment_intent.requires_action", "payment_intent.succeeded"]
    assert [each["data"]["payment_intent"]["status"] for each in told] == ["requires_action", "succeeded"]


def test_a_bank_debit_is_under_way_once_before_it_succeeds(environment, api):
    order = stories.open_order(environment, currency="USD")
    acts.pay(api, order, acts.DEBIT)
    stories.sweep(at=acts.later(minutes=1))
    stories.time_passes(environment, acts.later(days=10))

    assert types(environment, about="payment_intent") == ["payment_intent.processing", "payment_intent.succeeded"]


def test_a_hold_taken(environment, api):
    order = stories.open_order(environment)
    leg, attempt = acts.hold(api, order)
    acts.capture(api, order, leg, attempt)

    told = messages(environment)[1:]
    assert sorted(each["event_type"] for each in told) == [
        "order.paid",
        "order.payment_authorized",
        "order.payment_captured",
        "payment_intent.requires_capture",
        "payment_intent.succeeded",
    ]
    held = next(each["data"] for each in told if each["event_type"] == "order.payment_authorized")
    assert (held["order_id"], held["payment_intent_id"], held["payment_status"]) == (order.id, leg, "unpaid")
    assert held["amount_money"] == {"amount": 10_000, "currency": "EUR"}


def test_a_hold_let_go(environment, api):
    order = stories.open_order(environment)
    leg, attempt = acts.hold(api, order)
    acts.cancel(api, order, leg, attempt)

    told = messages(environment)[3:]
    assert sorted(each["event_type"] for each in told) == [
        "order.payment_authorization_canceled",
        "payment_intent.canceled",
    ]
    canceled = next(each["data"] for each in told if each["event_type"] == "payment_intent.canceled")
    assert canceled["payment_intent"]["status"] == "canceled"
    assert canceled["payment_intent"]["cancellation_reason"]


def test_a_payment_without_an_order_is_told_without_one(environment, api):
    made = api.post(
        "/v1/payment-intents", {"amount_money": {"amount": 900, "currency": "EUR"}, "payment_options": ["card"]}
    )
    leg = made.data["payment_intent"]["payment_intent_id"]
    api.post(f"/v1/payment-intents/{leg}/confirm", {"payment_source_token": acts.VISA})
    deliver_notices(environment)

    (told,) = messages(environment)
    assert told["event_type"] == "payment_intent.succeeded"
    assert "order_id" not in told["data"]["payment_intent"]


def test_how_a_checkout_ends(environment):
    paid, edited = stories.open_order(environment), stories.open_order(environment)
    first, second = stories.checkout(paid).session, stories.checkout(edited).session
    add_line_items(order_id=edited.id, line_items=[stories.line(100)], actor=stories.actor_in(environment))

    (told,) = messages(environment, about="checkout_session")
    assert told["event_type"] == "checkout_session.invalidated"
    assert told["data"] == {
        "checkout_session_id": second.id,
        "status": "invalidated",
        "reason": "order_mutated",
        "order_id": edited.id,
        "resource_updated_at": told["data"]["resource_updated_at"],
    }
    assert first.is_open


def test_a_saved_card_and_its_removal(environment, api):
    customer = create_customer(data={"email": "ada@buyer.example"}, actor=stories.actor_in(environment))
    method = acts.saved_card(api, customer)
    api.delete(f"/v1/payment-methods/{method}")

    saved, removed = messages(environment, about="payment_method")
    assert saved["data"]["card_last4"] == "4242"
    assert saved["data"]["status"] == "active"
    assert removed["data"] == {"payment_method_id": method, "customer_id": customer.id}
