"""What a buyer's credential opens: its own session and order, for what the contract lists, and nothing else at all."""

import pytest

from flint.api.documents import document
from flint.testing import stories
from flint.testing.stories import eur, line, wire
from flint.tests.test_tenancy import BODIES, snapshot, theirs  # noqa: F401
from orders import services
from orders.models import Order
from payments.models import CheckoutSession
from payments.services.sessions.ending import close_session
from payments.tests.acts import THREE_D_SECURE, attempt_of, hold, nothing_moves, pay, saved_card, stage
from payments.tests.buyers import Buyer, buyer_of, over

VERIFICATION = "{customer_verification_id}"
OPEN_TO_BUYERS = {
    ("get", "/v1/checkout-sessions/{checkout_session_id}"),
    ("patch", "/v1/checkout-sessions/{checkout_session_id}"),
    ("post", "/v1/checkout-sessions/{checkout_session_id}/customer-verifications"),
    ("post", f"/v1/checkout-sessions/{{checkout_session_id}}/customer-verifications/{VERIFICATION}/confirm"),
    ("get", "/v1/orders/{order_id}"),
    ("patch", "/v1/orders/{order_id}"),
    ("post", "/v1/orders/{order_id}/discounts"),
    ("post", "/v1/orders/{order_id}/discounts/remove"),
    ("post", "/v1/orders/{order_id}/discounts/reprice"),
    ("post", "/v1/orders/{order_id}/pay"),
    ("post", "/v1/orders/{order_id}/payment-intents"),
    ("post", "/v1/orders/{order_id}/payment-intents/{payment_intent_id}/cancel"),
    ("get", "/v1/orders/{order_id}/payment-attempts"),
    ("get", "/v1/orders/{order_id}/payment-attempts/{order_payment_attempt_id}"),
    ("post", "/v1/orders/{order_id}/payment-attempts/{order_payment_attempt_id}/cancel"),
    ("post", "/v1/orders/{order_id}/send-receipt"),
    ("get", "/v1/payment-intents/{payment_intent_id}"),
    ("get", "/v1/payment-methods"),
    ("get", "/v1/payment-methods/{payment_method_id}"),
}
"""The contract's table of what a buyer may, as routes. A route that joins it was thought about here first."""


def operations() -> list[tuple[str, str]]:
    """Every operation of the served document."""
    return [
        (method, template)
        for template, methods in document()["paths"].items()
        for method in methods
        if method in ("get", "post", "patch", "delete")
    ]


def codes_of(method: str, template: str) -> list[str]:
    return document()["paths"][template][method]["x-flint-error-codes"]


def routes() -> list[tuple[str, str]]:
    """Every operation that asks for a credential."""
    return [route for route in operations() if "AUTH_REQUIRED" in codes_of(*route)]


class Ids(dict):
    """Ids to put into paths; somebody else's tests see to it that what is missing here exists."""

    def __missing__(self, name: str) -> str:
        return "xx_01J00000000000000000000000"


def walk(client, ids: dict[str, str]) -> list[tuple[str, str, object]]:
    """Call every route with the ids of somebody's things."""
    return [(method, template, call(client, method, template, ids)) for method, template in routes()]


def call(client, method: str, template: str, ids: dict[str, str]):
    """Call one route with what gets it as far as looking for what it names."""
    body = BODIES.get((method, template), {}) if method in ("post", "patch") else None
    return client.call(method.upper(), template.format_map(Ids(ids)), body=body)


def ended(method: str, template: str, code: str) -> str:
    """What the buyer of a session that has ended is told by a route."""
    return code if (method, template) in OPEN_TO_BUYERS else "CHECKOUT_SESSION_SCOPE_MISMATCH"


def test_few_routes_ask_for_no_credential():
    of_links = {route for route in operations() if "BUYER_INVOICE_CREDENTIAL_REQUIRED" in codes_of(*route)}
    assert {template.startswith("/v1/me/invoices/{invoice_id}") for _, template in of_links} == {True}
    public = {route for route in operations() if route not in routes()} - of_links
    assert {template.rsplit("/", 1)[-1] for _, template in public} <= {"openapi.json", "public", "resolve"}


def test_the_document_opens_to_buyers_what_the_contract_lists_and_nothing_else():
    opened = {route for route in routes() if "CHECKOUT_SESSION_ORDER_MISMATCH" in codes_of(*route)}
    assert opened == OPEN_TO_BUYERS


@pytest.fixture
def mine(environment) -> Order:
    return stories.open_order(environment, total=4_000)


class TestNothingOfAnybodyElse:
    """Every route, with the ids of an order of the same merchant that is not the buyer's."""

    def test_an_open_session(self, theirs, mine):  # noqa: F811
        buyer = buyer_of(mine)
        before = snapshot()

        for method, template, answer in walk(buyer, theirs):
            if (method, template) == ("get", "/v1/payment-methods"):
                assert answer.data == []
            else:
                assert answer.status_code in (403, 404), (method, template, answer.content)
        assert snapshot() == before

    def test_an_expired_session(self, theirs, mine):  # noqa: F811
        buyer = over(buyer_of(mine))
        for method, template, answer in walk(buyer, theirs):
            assert answer.code == ended(method, template, "CHECKOUT_SESSION_EXPIRED"), (method, template)

    def test_a_closed_session(self, theirs, mine, environment):  # noqa: F811
        buyer = buyer_of(mine)
        close_session(checkout_session_id=buyer.session_id, actor=stories.actor_in(environment))
        before = snapshot()

        for method, template, answer in walk(buyer, theirs):
            assert answer.code == ended(method, template, "CHECKOUT_SESSION_NOT_OPEN"), (method, template)
        assert snapshot() == before

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({"X-Checkout-Session-Secret": "cst_guessed"}, "INVALID_CHECKOUT_SESSION"),
            ({"X-Checkout-Session-Secret": None}, "CHECKOUT_SESSION_SECRET_REQUIRED"),
            ({"X-Checkout-Session-ID": None}, "CHECKOUT_SESSION_AUTH_REQUIRED"),
            ({"X-Checkout-Session-ID": "cs_01J00000000000000000000000"}, "INVALID_CHECKOUT_SESSION"),
        ],
    )
    def test_a_wrong_credential(self, theirs, mine, headers, code):  # noqa: F811
        buyer = buyer_of(mine)
        buyer.credential |= headers
        for method, template, answer in walk(buyer, theirs):
            assert (answer.status_code, answer.code) == (401, code), (method, template)

    def test_the_secret_of_another_session(self, theirs, mine, environment):  # noqa: F811
        other = CheckoutSession.objects.get(id=theirs["checkout_session_id"])
        buyer = buyer_of(mine)
        buyer.credential["X-Checkout-Session-ID"] = other.id
        for method, template, answer in walk(buyer, theirs):
            assert (answer.status_code, answer.code) == (401, "INVALID_CHECKOUT_SESSION"), (method, template)

    def test_two_credentials_at_once(self, theirs, mine, api):  # noqa: F811
        buyer = buyer_of(mine)
        for header in ({"Authorization": f"Bearer {api.secret}"}, {"X-API-Key": api.secret}):
            buyer.credential |= header
            for method, template, answer in walk(buyer, theirs):
                assert (answer.status_code, answer.code) == (401, "AMBIGUOUS_AUTH"), (method, template)


def own_ids(buyer: Buyer, order: Order, api) -> dict[str, str]:
    """The ids of everything of the buyer's own."""
    intent = stage(buyer, order)
    return {"checkout_session_id": buyer.session_id, "order_id": order.id, "payment_intent_id": intent}


def test_on_its_own_order_a_buyer_uses_the_routes_that_are_open_to_it_and_no_other(mine, theirs, api):  # noqa: F811
    """The ids are the buyer's own wherever there are some: it is the verb that is refused."""
    buyer = buyer_of(mine, tip={"enabled": True})
    ids = {**theirs, **own_ids(buyer, mine, api)}
    before = snapshot()
    for method, template in routes():
        if (method, template) in OPEN_TO_BUYERS:
            continue
        answer = call(buyer, method, template, ids)
        assert (answer.status_code, answer.code) == (403, "CHECKOUT_SESSION_SCOPE_MISMATCH"), (method, template)
    assert snapshot() == before


class TestTheOrder:
    @pytest.fixture
    def order(self, environment):
        actor = stories.actor_in(environment)
        customer = services.create_customer(data={"email": "ann@example.com", "phone": "+4930123"}, actor=actor)
        return stories.open_order(
            environment,
            line(4_000, metadata={"supplier": "secret"}),
            customer_id=customer.id,
            internal_note="owes us",
            external_reference_id="erp-7",
            metadata={"margin": "40"},
        )

    def test_a_buyer_sees_nothing_that_is_only_the_merchants(self, order, api):
        buyer = buyer_of(
            order,
            metadata={"campaign": "x"},
            external_reference_id="crm-1",
            customer_collection={"external_reference_id": "crm-2"},
            payments={"external_reference_id": "crm-3"},
        )
        paid = pay(buyer, order)
        assert paid.data["payment_attempt"]["status"] == "succeeded"
        (leg,) = api.get(f"/v1/orders/{order.id}").data["payment_intent_ids"]
        everything = {"expand": ["customer", "payment_intents"]}
        for answer in (
            paid,
            buyer.get(f"/v1/orders/{order.id}", everything),
            buyer.get(f"/v1/checkout-sessions/{buyer.session_id}", {"expand": ["customer", "order"]}),
            buyer.get(f"/v1/payment-intents/{leg}", {"expand": ["customer", "order"]}),
        ):
            assert answer.status_code == 200
            for secret in ("owes us", "erp-7", "margin", "supplier", "crm-", "campaign", "ann@example.com", "4930123"):
                assert secret not in answer.content.decode()
            for name in ("processing_fee_money", "merchant_net_money", "risk", "internal_note", "closed_reason"):
                assert f'"{name}"' not in answer.content.decode()
        shown = api.get(f"/v1/orders/{order.id}", everything)
        for word in ("owes us", "erp-7", "margin", "supplier", "ann@example.com"):
            assert word in shown.content.decode()

    def test_a_buyer_sees_the_doings_of_its_own_session_alone(self, order, api):
        first = buyer_of(order)
        declined = attempt_of(pay(first, order, "pm_card_chargeDeclined"))
        (leg,) = first.get(f"/v1/orders/{order.id}").data["payment_intent_ids"]
        second = buyer_of(order, replace_checkout_session_id=first.session_id)

        shown = second.get(f"/v1/orders/{order.id}").data

        assert (shown["payment_intent_ids"], shown["checkout_session_ids"]) == ([], [second.session_id])
        assert second.get(f"/v1/orders/{order.id}/payment-attempts").data == []
        assert second.get(f"/v1/orders/{order.id}/payment-attempts/{declined}").status_code == 404
        assert second.get(f"/v1/payment-intents/{leg}").status_code == 404
        assert second.get(f"/v1/checkout-sessions/{second.session_id}").data["payment_intent_ids"] == []
        for verb in (f"payment-attempts/{declined}", f"payment-intents/{leg}"):
            with nothing_moves(order):
                assert second.post(f"/v1/orders/{order.id}/{verb}/cancel", {}).status_code == 404
        assert api.get(f"/v1/orders/{order.id}").data["checkout_session_ids"] == [first.session_id, second.session_id]

    def test_the_secret_of_anothers_step_is_not_shown_after_the_session_ended(self, order, api):
        first = buyer_of(order)
        pay(first, order, THREE_D_SECURE)
        over(first)

        shown = first.get(f"/v1/orders/{order.id}").data

        assert shown["active_payment_attempt"]["pending_actions"]
        assert "payment_collection" not in shown

    def test_how_it_is_collected_is_the_sessions(self, order):
        buyer = buyer_of(order, payments={"enabled_payment_options": ["card"]})

        elements = buyer.get(f"/v1/orders/{order.id}").data["payment_collection"]["stripe"]["elements"]

        assert (elements["next_step"], elements["payment_method_types"]) == ("create_confirmation_token", ["card"])

    def test_a_buyer_says_its_note_and_its_tip(self, order):
        buyer = buyer_of(order, tip={"enabled": True})
        body = {"buyer_note": "ring twice", "requested_tip": {"amount_money": wire(eur(200))}}

        changed = buyer.patch(f"/v1/orders/{order.id}", body)

        assert changed.data["pricing_amounts"]["total_money"]["amount"] == 4_200
        assert changed.data["buyer_note"] == "ring twice"
        assert buyer.session.status == "open"

    @pytest.mark.parametrize(
        "body",
        [
            {"internal_note": "x"},
            {"metadata": {"a": "b"}},
            {"external_reference_id": "x"},
            {"customer_id": "cus_01J00000000000000000000000"},
            {"buyer_note": "x", "internal_note": "x"},
        ],
    )
    def test_and_nothing_else(self, order, body):
        buyer = buyer_of(order)
        with nothing_moves(order):
            assert buyer.patch(f"/v1/orders/{order.id}", body).code == "CHECKOUT_ORDER_UPDATE_FIELD_NOT_ALLOWED"

    def test_no_tip_where_none_is_asked_for(self, order):
        buyer = buyer_of(order)
        body = {"requested_tip": {"amount_money": wire(eur(200))}}
        with nothing_moves(order):
            assert buyer.patch(f"/v1/orders/{order.id}", body).code == "CHECKOUT_TIPPING_DISABLED"

    def test_discounts_are_the_merchants(self, order, api):
        manual = {"manual": {"name": "Friend", "amount_money": wire(eur(100))}}
        given = api.post(f"/v1/orders/{order.id}/discounts", manual).data["applied_discounts"][0]["order_discount_id"]
        buyer = buyer_of(order)
        path = f"/v1/orders/{order.id}/discounts"
        with nothing_moves(order):
            assert buyer.post(path, manual).code == "CHECKOUT_MANUAL_DISCOUNT_NOT_ALLOWED"
            by_id = {"promotion": {"promotion_id": "promo_1"}}
            assert buyer.post(path, by_id).code == "CHECKOUT_DISCOUNT_ID_NOT_ALLOWED"
            by_code = {"promotion": {"promotion_code": "SPRING"}}
            assert buyer.post(path, by_code).code == "RESERVED_FIELD_NOT_YET_SUPPORTED"
            removal = {"order_discount_ids": [given]}
            assert buyer.post(f"{path}/remove", removal).code == "CHECKOUT_DISCOUNT_NOT_REMOVABLE"
        assert buyer.post(f"{path}/reprice", {}).status_code == 200
        assert buyer.session.status == "open"

    def test_a_leg_carries_nothing_that_is_the_merchants_to_say(self, order):
        buyer = buyer_of(order)
        for body in ({"metadata": {"a": "b"}}, {"external_reference_id": "x"}):
            answer = buyer.post(f"/v1/orders/{order.id}/payment-intents", body)
            assert answer.code == "CHECKOUT_ORDER_UPDATE_FIELD_NOT_ALLOWED"


class TestWhatWasSaved:
    @pytest.fixture
    def customer(self, environment):
        actor = stories.actor_in(environment)
        return services.create_customer(data={"email": "ann@example.com"}, actor=actor)

    @pytest.fixture
    def order(self, environment, customer):
        return stories.open_order(environment, total=4_000, customer_id=customer.id)

    def test_a_checkout_that_acts_for_its_customer_uses_what_that_one_saved(self, api, order, customer, environment):
        method = saved_card(api, customer)
        actor = stories.actor_in(environment)
        somebody = services.create_customer(data={"email": "bob@example.com"}, actor=actor)
        not_hers = saved_card(api, somebody)
        buyer = buyer_of(order, customer_collection={"customer_id": customer.id})

        assert [row["payment_method_id"] for row in buyer.get("/v1/payment-methods").data] == [method]
        assert buyer.get(f"/v1/payment-methods/{method}").status_code == 200
        assert buyer.get(f"/v1/payment-methods/{not_hers}").status_code == 404
        assert buyer.get("/v1/payment-methods", {"customer_id": somebody.id}).data == []
        refused = buyer.get("/v1/payment-methods", {"status": "removed"})
        assert refused.code == "CHECKOUT_PAYMENT_METHOD_STATUS_UNSUPPORTED"
        with nothing_moves(order):
            body = {"action": "pay", "payment_source": {"payment_method_id": not_hers}}
            assert buyer.post(f"/v1/orders/{order.id}/pay", body).status_code == 404
        body = {"action": "pay", "payment_source": {"payment_method_id": method}}
        paid = buyer.post(f"/v1/orders/{order.id}/pay", body)
        assert paid.data["payment_attempt"]["status"] == "succeeded"

    def test_once_it_is_paid_nothing_saved_is_shown_any_more(self, api, order, customer):
        saved_card(api, customer)
        buyer = buyer_of(order, customer_collection={"customer_id": customer.id})
        pay(buyer, order)

        assert buyer.get(f"/v1/orders/{order.id}").data["payment_status"] == "paid"
        assert buyer.get("/v1/payment-methods").data == []

    def test_a_checkout_that_acts_for_nobody_uses_nothing(self, api, order, customer):
        method = saved_card(api, customer)
        buyer = buyer_of(order)

        assert buyer.get("/v1/payment-methods").data == []
        body = {"action": "pay", "payment_source": {"payment_method_id": method}}
        with nothing_moves(order):
            assert buyer.post(f"/v1/orders/{order.id}/pay", body).code == "PAYMENT_SOURCE_NOT_ALLOWED"


def test_what_else_stands_in_the_way_is_not_a_buyers_business(api, mine):
    buyer = buyer_of(mine)
    pay(buyer, mine, THREE_D_SECURE)

    again = pay(buyer, mine)

    assert again.code == "ORDER_PAYMENT_ATTEMPT_ACTIVE"
    assert "blocking_resources" not in again.error and again.error["order_payment_attempt_id"]
    assert "blocking_resources" in pay(api, mine).error


def test_a_buyer_whose_session_is_paid_reads_for_a_day_and_does_nothing(api, mine, environment):
    buyer = buyer_of(mine, tip={"enabled": True})
    pay(buyer, mine)
    attempt = buyer.get(f"/v1/orders/{mine.id}/payment-attempts").data[0]["order_payment_attempt_id"]
    services.add_line_items(order_id=mine.id, line_items=[line(500)], actor=stories.actor_in(environment))
    leg = stage(api, mine)

    path = f"/v1/orders/{mine.id}"
    with nothing_moves(mine):
        for answer in (
            buyer.patch(path, {"buyer_note": "x"}),
            buyer.patch(path, {"requested_tip": {"amount_money": wire(eur(1))}}),
            buyer.patch(f"/v1/checkout-sessions/{buyer.session_id}", {"timezone": "Europe/Berlin"}),
            buyer.post(f"{path}/discounts/reprice", {}),
            buyer.post(f"{path}/payment-intents", {}),
            buyer.post(f"{path}/payment-attempts/{attempt}/cancel", {}),
            pay(buyer, mine),
        ):
            assert answer.code == "CHECKOUT_SESSION_NOT_OPEN", answer.content
        assert buyer.post(f"{path}/payment-intents/{leg}/cancel", {}).status_code == 404
    assert buyer.get(path).status_code == 200

    session = buyer.session
    session.ended_at = session.ended_at.replace(year=session.ended_at.year - 1)
    session.save()
    assert buyer.get(path).code == "CHECKOUT_SESSION_NOT_OPEN"


def test_a_key_of_one_session_neither_replays_nor_blocks_another(api, mine):
    first = buyer_of(mine)
    assert pay(first, mine, "pm_card_chargeDeclined", key="pay").data["payment_attempt"]["status"] == "failed"
    second = buyer_of(mine, replace_checkout_session_id=first.session_id)

    again = pay(second, mine, "pm_card_chargeDeclined", key="pay")

    assert again.data["payment_attempt"]["status"] == "failed"
    assert mine.payment_attempts.count() == 2


def test_a_buyer_lets_its_own_hold_go_and_the_session_stays_open(api, mine):
    buyer = buyer_of(mine)
    leg, attempt = hold(buyer, mine)

    canceled = buyer.post(f"/v1/orders/{mine.id}/payment-intents/{leg}/cancel", {"order_payment_attempt_id": attempt})

    assert canceled.data["payment_intent"]["status"] == "canceled"
    assert buyer.session.status == "open"
