"""Ordering by a payment link: what a buyer sees, may choose and is refused, and the order that comes of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from flint.testing.books import assert_books
from flint.testing.stories import eur, wire
from orders.models import Order
from payments.models import CheckoutSession, PaymentLink
from payments.services.links.context import GOOD_FOR, START_WITHIN, new_context
from payments.services.sessions.ending import expire_if_due
from payments.tests.acts import DECLINED, VISA, pay

pytestmark = pytest.mark.django_db(transaction=True)


def make(api, **data: Any) -> str:
    line = {"name": "Mug", "key": "mug", "unit_price_money": wire(eur(1_200))}
    body = {"name": "Spring sale", "payment_link_type": "standard", "line_items": [line], **data}
    made = api.post("/v1/payment-links", {name: value for name, value in body.items() if value is not None})
    assert made.status_code == 201, made.content
    return made.data["payment_link_id"]


def view(api, link: str) -> dict[str, Any]:
    return api.get(f"/v1/payment-links/{link}/public", headers={"Authorization": None}).data


def resolve(api, link: str, *, key: str | None = "first", context: str | None = None, **choices: Any) -> Any:
    """Order by a link, as anybody: without a credential."""
    body = {"resolution_context": context or view(api, link)["resolution_context"], **choices}
    return api.post(f"/v1/payment-links/{link}/resolve", body, key=key, headers={"Authorization": None})


def order_of(answer: Any) -> Order:
    assert answer.status_code == 201, answer.content
    return Order.objects.get(id=answer.data["checkout_session"]["order_id"])


def test_anybody_sees_what_is_offered_and_nothing_of_the_merchants_own(api):
    link = make(
        api,
        metadata={"margin": "high"},
        redirects={"success_redirect_url": "https://shop.example/thanks"},
        max_completions=4,
    )

    seen = view(api, link)

    assert seen["payment_link"]["line_items"][0]["unit_price_money"] == wire(eur(1_200))
    assert seen["resolved_line_items"][0]["key"] == "mug"
    assert (seen["remaining_quantity"], seen["is_sold_out"]) == (4, False)
    assert not {"metadata", "redirects", "merchant_id", "url"} & set(seen["payment_link"])
    assert seen["resolution_context_start_deadline_at"] < seen["resolution_context_expires_at"]


def test_scripts_of_any_page_may_read_and_order(api):
    link = make(api)
    asked = api.http.options(f"/v1/payment-links/{link}/resolve", headers={"Origin": "https://shop.example"})
    assert asked.status_code == 204
    assert "Idempotency-Key" in asked["Access-Control-Allow-Headers"]
    for answer in (
        api.http.get(f"/v1/payment-links/{link}/public"),
        api.http.get("/v1/payment-links/plink_01J00000000000000000000000/public"),
    ):
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Origin" not in api.http.get(f"/v1/payment-links/{link}").headers


def test_a_resolve_makes_an_order_and_a_hosted_session_of_its_own(api):
    link = make(
        api,
        metadata={"shelf": "3"},
        custom_fields=[{"key": "size", "label": "Size", "custom_field_type": "dropdown", "options": ["S", "M"]}],
        expiration={"expires_in_seconds": 600},
    )

    answer = resolve(api, link, custom_field_values={"size": "M"})
    order = order_of(answer)

    session = answer.data["checkout_session"]
    assert session["origin"] == order.origin == "payment_link"
    assert session["payment_link_id"] == link
    assert "/checkout/" in session["url"] and answer.data["checkout_access"]["checkout_auth_token"]
    assert order.metadata == {"shelf": "3", "custom_field_size": "M"}
    assert_books(order, total=1_200, outstanding=1_200, payment_status="unpaid")
    told = api.get(f"/v1/orders/{order.id}/activities").data
    assert "payment_link.resolved" in [event.type for event in _events(order)]
    assert any("Spring sale" in entry["description"] for entry in told) or told
    second = order_of(resolve(api, link, key="second", custom_field_values={"size": "S"}))
    assert second.id != order.id


def _events(order: Order) -> list[Any]:
    from flint.events.models import Event

    return list(Event.objects.filter(order_id=order.id).order_by("sequence"))


def test_a_repeat_with_the_same_key_answers_the_same_and_orders_once(api):
    link = make(api)
    context = view(api, link)["resolution_context"]

    first, again = (resolve(api, link, context=context) for _ in range(2))

    assert again.data == first.data and again.headers["Idempotency-Replayed"] == "true"
    assert Order.objects.count() == CheckoutSession.objects.count() == 1
    other = resolve(api, link, context=view(api, link)["resolution_context"])
    assert (other.status_code, other.code) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert resolve(api, link, key=None, context=context).code == "IDEMPOTENCY_KEY_REQUIRED"


def test_a_strangers_key_neither_replays_nor_blocks_the_merchants(api):
    link = make(api)
    line = {"name": "Tea", "unit_price_money": wire(eur(100))}
    made = api.post("/v1/orders", {"line_items": [line]}, key="mine")

    assert resolve(api, link, key="mine").status_code == 201
    assert api.post("/v1/orders", {"line_items": [line]}, key="mine").data == made.data


def test_an_order_is_made_of_what_was_seen_and_in_time(api):
    link = make(api)
    row = PaymentLink.objects.get(id=link)
    url, now = f"/v1/payment-links/{link}", timezone.now()
    seen = view(api, link)["resolution_context"]
    api.patch(url, {"name": "Summer sale"})

    changed = resolve(api, link, context=seen)
    assert (changed.status_code, changed.code) == (409, "PAYMENT_LINK_CHANGED_RETRY")
    row.refresh_from_db()
    late = resolve(api, link, context=new_context(row, at=now - START_WITHIN).token)
    assert (late.status_code, late.code) == (409, "PAYMENT_LINK_RESOLUTION_CONTEXT_REFRESH_REQUIRED")
    old = resolve(api, link, context=new_context(row, at=now - GOOD_FOR - timedelta(seconds=1)).token)
    foreign = resolve(api, link, context=view(api, make(api))["resolution_context"])
    forged = resolve(api, link, context=seen[:-1] + ("A" if seen[-1] != "A" else "B"))
    assert {each.code for each in (old, foreign, forged)} == {"PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID"}
    missing = api.post(f"{url}/resolve", {}, key="k", headers={"Authorization": None})
    assert missing.code == "PAYMENT_LINK_RESOLUTION_CONTEXT_REQUIRED"
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("choices", "code"),
    [
        ({"quantity_overrides": {"plate": 2}}, "UNKNOWN_LINE_ITEM_KEY"),
        ({"unit_price_overrides": {"donation": wire(eur(5))}}, "UNKNOWN_LINE_ITEM_KEY"),
        ({"quantity_overrides": {"fixed": 2}}, "QUANTITY_NOT_ADJUSTABLE"),
        ({"quantity_overrides": {"free": 1}}, "QUANTITY_BELOW_MIN"),
        ({"quantity_overrides": {"free": 0}}, "QUANTITY_BELOW_MIN"),
        ({"quantity_overrides": {"free": 6}}, "QUANTITY_ABOVE_MAX"),
        ({"unit_price_overrides": {"fixed": wire(eur(1_100))}}, "AMOUNT_NOT_ADJUSTABLE"),
        ({"unit_price_overrides": {}}, "AMOUNT_REQUIRED"),
        ({"unit_price_overrides": {"free": wire(eur(499))}}, "AMOUNT_BELOW_MIN"),
        ({"unit_price_overrides": {"free": wire(eur(1_001))}}, "AMOUNT_ABOVE_MAX"),
        ({"unit_price_overrides": {"free": {"amount": 700, "currency": "USD"}}}, "CURRENCY_MISMATCH"),
        ({"modifiers": {}}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"custom_field_values": {"colour": "red"}}, "UNKNOWN_CUSTOM_FIELD_KEY"),
        ({"custom_field_values": {"size": "XL"}}, "INVALID_DROPDOWN_VALUE"),
        ({"custom_field_values": {"note": "n" * 6}}, "CUSTOM_FIELD_VALUE_TOO_LONG"),
        ({"custom_field_values": {"gift": "maybe"}}, "INVALID_CHECKBOX_VALUE"),
        ({"custom_field_values": {"agreed": False}}, "REQUIRED_CUSTOM_FIELD_MISSING"),
        ({"custom_field_values": {}}, "REQUIRED_CUSTOM_FIELD_MISSING"),
    ],
)
def test_a_choice_that_is_not_offered_is_refused_and_makes_nothing(api, choices, code):
    link = make(
        api,
        line_items=[
            {"name": "Fixed", "unit_price_money": wire(eur(1_000))},
            {
                "name": "Free",
                "quantity": 2,
                "allow_quantity_adjustment": True,
                "min_quantity": 2,
                "max_quantity": 5,
                "allow_unit_price_adjustment": True,
                "min_unit_price_money": wire(eur(500)),
                "max_unit_price_money": wire(eur(1_000)),
            },
        ],
        custom_fields=[
            {"key": "size", "label": "Size", "custom_field_type": "dropdown", "options": ["S", "M"]},
            {"key": "note", "label": "Note", "custom_field_type": "text", "max_length": 5},
            {"key": "gift", "label": "Gift", "custom_field_type": "checkbox"},
            {"key": "agreed", "label": "Agreed", "custom_field_type": "checkbox", "required": True},
        ],
    )
    good = {"unit_price_overrides": {"free": wire(eur(700))}, "custom_field_values": {"agreed": True}}
    if "custom_field_values" in choices and code != "REQUIRED_CUSTOM_FIELD_MISSING":
        choices = {"custom_field_values": {"agreed": True, **choices["custom_field_values"]}}

    answer = resolve(api, link, **{**good, **choices})

    assert (answer.status_code, answer.code) == (400, code)
    assert not Order.objects.exists() and not CheckoutSession.objects.exists()
    chosen = order_of(resolve(api, link, key="good", quantity_overrides={"free": 5}, **good))
    assert chosen.total_amount == 1_000 + 5 * 700
    assert chosen.metadata == {"custom_field_agreed": "true"}


def test_a_donor_names_the_amount_under_its_own_key(api):
    link = make(
        api,
        name="Roof of the chapel",
        payment_link_type="donation",
        line_items=None,
        donation_min_amount_money=wire(eur(500)),
        donation_max_amount_money=wire(eur(50_000)),
    )

    def give(amount: Any, key: str) -> Any:
        return resolve(api, link, key=key, unit_price_overrides={"donation": amount} if amount else {})

    assert give(None, "a").code == "DONATION_AMOUNT_REQUIRED"
    assert give(wire(eur(0)), "b").code == "INVALID_DONATION_AMOUNT"
    assert give(wire(eur(499)), "c").code == "AMOUNT_BELOW_MIN"
    assert give(wire(eur(50_001)), "d").code == "AMOUNT_ABOVE_MAX"
    assert give({"amount": 900, "currency": "USD"}, "e").code == "CURRENCY_MISMATCH"
    assert not Order.objects.exists()
    order = order_of(give(wire(eur(2_500)), "f"))
    assert order.total_amount == 2_500
    assert order.line_items.get().name == "Roof of the chapel"


def test_a_link_out_of_use_or_without_a_processor_makes_nothing(api, environment):
    link = make(api, inactive_message="Back in May")
    url = f"/v1/payment-links/{link}"
    api.patch(url, {"status": "inactive"})

    answer = resolve(api, link)
    assert (answer.status_code, answer.code) == (409, "PAYMENT_LINK_INACTIVE")
    assert view(api, link)["payment_link"]["inactive_message"] == "Back in May"

    api.patch(url, {"status": "active"})
    environment.processor = ""
    environment.save()
    answer = resolve(api, link)
    assert (answer.status_code, answer.code) == (503, "PAYMENT_LINK_RESOLUTION_UNAVAILABLE")
    assert not Order.objects.exists()


def test_one_address_cannot_order_without_end(api, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "limits"}}
    link, other = make(api), make(api)

    codes = [resolve(api, link, context="x", key=str(number)).code for number in range(31)]

    assert codes[:30] == ["PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID"] * 30
    assert codes[30] == "PAYMENT_LINK_RESOLUTION_RATE_LIMITED"
    limited = resolve(api, link, key="last")
    assert limited.status_code == 429 and limited.headers["Retry-After"]
    assert resolve(api, other, key="last").status_code == 201


def test_finished_payments_are_counted_once_and_fill_the_link(api):
    link = make(api, max_completions=1)
    early = order_of(resolve(api, link, key="early"))
    late = order_of(resolve(api, link, key="late"))
    for order in (early, late):
        expire_if_due(order.checkout_sessions.get().id, at=timezone.now() + timedelta(days=2))

    assert pay(api, early, DECLINED).data["payment_attempt"]["status"] == "failed"
    assert api.get(f"/v1/payment-links/{link}").data["completed_count"] == 0
    paid = pay(api, early, VISA, key="paid")
    assert paid.data["payment_attempt"]["status"] == "succeeded"
    assert pay(api, early, VISA, key="paid").data["payment_attempt"]["status"] == "succeeded"
    assert api.get(f"/v1/payment-links/{link}").data["completed_count"] == 1

    refused = pay(api, late, VISA).data["payment_attempt"]
    assert (refused["status"], refused["failure_code"]) == ("failed", "payment_link_capacity_claim_failed")
    assert_books(late, paid=0, outstanding=1_200, active_attempt_id="")
    assert not late.payment_intents.exists()
    full = resolve(api, link, key="after")
    assert (full.status_code, full.code) == (409, "PAYMENT_LINK_MAX_COMPLETIONS_REACHED")
    assert view(api, link)["is_sold_out"] is True

    api.patch(f"/v1/payment-links/{link}", {"max_completions": 2})
    assert pay(api, late, VISA, key="now").data["payment_attempt"]["status"] == "succeeded"
    assert api.get(f"/v1/payment-links/{link}").data["completed_count"] == 2


def test_paying_an_order_again_after_a_correction_counts_no_second_time(api):
    link = make(api)
    order = order_of(resolve(api, link))
    expire_if_due(order.checkout_sessions.get().id, at=timezone.now() + timedelta(days=2))
    pay(api, order, VISA)
    line = {"name": "Post", "unit_price_money": wire(eur(300))}
    api.post(f"/v1/orders/{order.id}/line-items", {"line_items": [line]})
    assert pay(api, order, VISA).data["payment_attempt"]["status"] == "succeeded"

    assert_books(order, paid=1_500, outstanding=0)
    assert api.get(f"/v1/payment-links/{link}").data["completed_count"] == 1


def test_the_merchant_sees_which_link_a_session_came_from(api):
    link = make(api)
    session = resolve(api, link).data["checkout_session"]["checkout_session_id"]
    path = f"/v1/checkout-sessions/{session}"

    expanded = api.get(f"{path}?expand=payment_link").data["payment_link"]

    assert (expanded["payment_link_id"], expanded["status"]) == (link, "active")
    assert expanded["url"] == PaymentLink.objects.get(id=link).url
    assert "payment_link" not in api.get(path).data
    order = api.post("/v1/orders", {"line_items": [{"name": "Mug", "unit_price_money": wire(eur(100))}]}).data
    other = api.post("/v1/checkout-sessions", {"order_id": order["order_id"]}).data["checkout_session"]
    path = f"/v1/checkout-sessions/{other['checkout_session_id']}"
    assert api.get(f"{path}?expand=payment_link").data["payment_link"] is None
