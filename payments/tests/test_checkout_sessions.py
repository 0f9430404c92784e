"""Checkout sessions over HTTP: opening, replacing, changing and closing them, and what they show."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from flint.testing.stories import eur, line, wire
from orders import services
from orders.models import Order
from payments.models import CheckoutSession
from payments.tests.acts import (
    DECLINED,
    THREE_D_SECURE,
    attempt_of,
    cancel_attempt,
    capture,
    hold,
    kinds_of,
    nothing_moves,
    pay,
    stage,
)
from payments.tests.buyers import Buyer, buyer_of, over

SESSIONS = "/v1/checkout-sessions"


@pytest.fixture
def order(environment) -> Order:
    return stories.open_order(environment)


def read(api, session_id: str, **query) -> dict:
    return api.get(f"{SESSIONS}/{session_id}", query).data


class TestOpening:
    def test_on_an_order(self, api, order):
        wanted = {
            "order_id": order.id,
            "redirects": {"success_redirect_url": "https://shop.example/thanks"},
            "expiration": {"expires_in_seconds": 600},
            "tip": {"enabled": True, "tip_percent_options": [10, 12.5, 15], "default_tip_percent": 12.5},
            "customer_collection": {"prefilled_customer_info": {"email": "ann@example.com"}},
            "theme": {"primary_color": "#112233"},
            "metadata": {"campaign": "spring"},
            "external_reference_id": "crm-1",
        }

        made = api.post(SESSIONS, wanted)

        assert made.status_code == 201
        assert made.data["reused_existing"] is False
        session = made.data["checkout_session"]
        for name in ("redirects", "expiration", "tip", "theme", "metadata", "external_reference_id"):
            assert session[name] == wanted[name]
        assert (session["status"], session["surface"], session["recovery_mode"]) == ("open", "hosted", False)
        assert session["buyer_contact"]["email"] == "ann@example.com"
        assert session["url"].startswith("http://testserver/checkout/cs_")
        assert api.get(f"/v1/orders/{order.id}").data["checkout_session_ids"] == [session["checkout_session_id"]]
        row = CheckoutSession.objects.get()
        assert (row.expires_at - row.created_at).total_seconds() == pytest.approx(600, abs=5)
        assert kinds_of(order)[-1] == "checkout_session.created"

    def test_on_one_item_that_an_order_is_made_of(self, api):
        made = api.post(SESSIONS, {"quick_pay_item": {"name": "Lesson", "amount_money": wire(eur(3_000))}})

        assert_books(made.data["checkout_session"]["order_id"], total=3_000, outstanding=3_000)

    def test_an_embedded_one_has_no_page_of_ours(self, api, order):
        made = api.post(SESSIONS, {"order_id": order.id, "surface": "embedded"})
        assert "url" not in made.data["checkout_session"]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "CHECKOUT_SESSION_SOURCE_REQUIRED"),
            ({"quick_pay_item": {"name": "x", "amount_money": {"amount": 0, "currency": "EUR"}}}, "AMOUNT_TOO_SMALL"),
            ({"order_id": "…", "quick_pay_item": {"name": "x", "amount_money": wire(eur(1))}}, None),
            ({"order_id": "…", "surface": "kiosk"}, "INVALID_CHECKOUT_SURFACE"),
            ({"order_id": "…", "expiration": {"expires_in_seconds": 59}}, "INVALID_EXPIRATION"),
            ({"order_id": "…", "expiration": {"expires_in_seconds": 86_401}}, "INVALID_EXPIRATION"),
            ({"order_id": "…", "redirects": {"success_redirect_url": "javascript:alert(1)"}}, "INVALID_URL_SCHEME"),
            ({"order_id": "…", "redirects": {"success_redirect_url": "//evil.example"}}, "INVALID_URL_SCHEME"),
            ({"order_id": "…", "redirects": {"cancel_redirect_url": "http://evil.example"}}, "INVALID_URL_SCHEME"),
            ({"order_id": "…", "redirects": {"cancel_redirect_url": "https://a@evil.example"}}, "INVALID_URL_HOST"),
            ({"order_id": "…", "tip": {"tip_percent_options": [10, 15]}}, "INVALID_TIP_PERCENT"),
            ({"order_id": "…", "tip": {"default_tip_percent": 10}}, "INVALID_TIP_PERCENT"),
            ({"order_id": "…", "delivery_method_ids": ["x"]}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ],
    )
    def test_what_cannot_be_opened(self, api, order, body, code):
        if "order_id" in body:
            body = {**body, "order_id": order.id}
        with nothing_moves(order):
            assert api.post(SESSIONS, body).code == (code or "CHECKOUT_SESSION_SOURCE_CONFLICT")
        assert not CheckoutSession.objects.exists()

    def test_only_on_an_order_that_can_be_collected(self, api, environment, order):
        paid = stories.paid_order(environment)
        held = stories.held_order(environment)
        services.close_order(order_id=order.id, actor=stories.actor_in(environment))
        waiting = stories.open_order(environment)
        leg = stage(api, waiting)
        for one, code in (
            (paid, "ORDER_ALREADY_PAID"),
            (held, "ORDER_PAYMENT_ATTEMPT_ACTIVE"),
            (order, "ORDER_CLOSED"),
            (waiting, "ORDER_PAYMENT_LEG_CHECKOUT_ACTIVE"),
        ):
            with nothing_moves(one):
                refused = api.post(SESSIONS, {"order_id": one.id})
            assert refused.code == code
        assert refused.error["payment_intent_ids"] == [leg]

    def test_an_order_has_one_open_session_and_says_which(self, api, order):
        buyer = buyer_of(order)

        again = api.post(SESSIONS, {"order_id": order.id})
        elsewhere = api.post(SESSIONS, {"order_id": order.id, "surface": "embedded"})

        assert again.code == "CHECKOUT_SESSION_ALREADY_EXISTS"
        assert (elsewhere.code, elsewhere.error["surface"]) == ("CHECKOUT_SURFACE_CHANGE_NOT_ALLOWED", "hosted")
        for refused in (again, elsewhere):
            assert refused.error["existing_checkout_session_id"] == buyer.session_id

    def test_d002_the_database_itself_refuses_a_second_open_session(self, order):
        session = buyer_of(order).session
        session.pk = "cs_01J00000000000000000000000"
        with pytest.raises(IntegrityError, match="session_one_open_per_order"), transaction.atomic():
            session.save(force_insert=True)

    def test_a_repeat_is_answered_with_the_same_session_and_says_so(self, api, order):
        first = api.post(SESSIONS, {"order_id": order.id}, key="open it")
        again = api.post(SESSIONS, {"order_id": order.id}, key="open it")

        assert again.status_code == 201
        assert again.data == {**first.data, "reused_existing": True}
        assert CheckoutSession.objects.count() == 1

    def test_no_session_outlives_its_time_as_an_obstacle(self, api, order):
        first = over(buyer_of(order))
        assert api.post(SESSIONS, {"order_id": order.id}).status_code == 201
        assert first.session.status == "expired"

    def test_a_customer_who_is_not_the_orders(self, api, order, environment):
        actor = stories.actor_in(environment)
        ann, bob = (
            services.create_customer(data={"email": f"{name}@example.com"}, actor=actor) for name in ("ann", "bob")
        )
        services.update_order(order_id=order.id, data={"customer_id": ann.id}, actor=actor)
        body = {"order_id": order.id, "customer_collection": {"customer_id": bob.id}}
        assert api.post(SESSIONS, body).code == "CHECKOUT_CUSTOMER_CONFLICT"
        body["customer_collection"] = {"customer_id": ann.id}
        assert api.post(SESSIONS, body).status_code == 201


class TestReplacing:
    def test_the_current_one_is_swapped(self, api, order):
        first = buyer_of(order)

        made = api.post(
            SESSIONS, {"order_id": order.id, "surface": "embedded", "replace_checkout_session_id": first.session_id}
        )

        old = read(api, first.session_id)
        assert (old["status"], old["terminal_reason"]) == ("invalidated", "superseded")
        assert old["superseding_checkout_session_id"] == made.data["checkout_session"]["checkout_session_id"]
        assert first.get(f"/v1/orders/{order.id}").code == "CHECKOUT_SESSION_NOT_OPEN"

    def test_only_the_current_one(self, api, order):
        first = buyer_of(order)
        second = buyer_of(order, replace_checkout_session_id=first.session_id)

        stale = api.post(SESSIONS, {"order_id": order.id, "replace_checkout_session_id": first.session_id})

        assert stale.code == "CHECKOUT_SESSION_CURRENT_CHANGED"
        assert stale.error["current_checkout_session_id"] == second.session_id
        assert second.session.status == "open"

    def test_not_while_it_is_being_paid(self, api, order):
        first = buyer_of(order)
        pay(first, order, THREE_D_SECURE)
        with nothing_moves(order):
            refused = api.post(SESSIONS, {"order_id": order.id, "replace_checkout_session_id": first.session_id})
        assert refused.code == "CHECKOUT_PAYMENT_RESOLVING"

    def test_only_with_an_order(self, api, order):
        item = {"name": "Lesson", "amount_money": wire(eur(3_000))}
        body = {"quick_pay_item": item, "replace_checkout_session_id": buyer_of(order).session_id}
        assert api.post(SESSIONS, body).code == "CHECKOUT_REPLACEMENT_REQUIRES_ORDER"


class TestReading:
    def test_one_whose_time_is_over_has_expired_when_it_is_read(self, api, order):
        buyer = over(buyer_of(order))

        shown = read(api, buyer.session_id)

        assert (shown["status"], shown["terminal_reason"]) == ("expired", "expired")
        assert kinds_of(order)[-1] == "checkout_session.expired"

    def test_the_link_is_shown_to_keys_that_may_manage_sessions(self, api, order, environment):
        buyer = buyer_of(order)
        reader = client_of(environment, scopes=["checkouts.checkout_sessions.read"])
        assert "url" in read(api, buyer.session_id)
        assert "url" not in read(reader, buyer.session_id)
        assert "url" not in read(buyer, buyer.session_id)
        assert "url" not in reader.get(SESSIONS).data[0]

    def test_lists(self, api, environment):
        buyers = [buyer_of(stories.open_order(environment)) for _ in range(3)]
        api.post(f"{SESSIONS}/{buyers[0].session_id}/close", {})

        def found(**query):
            return [row["checkout_session_id"] for row in api.get(SESSIONS, query).data]

        assert found() == [buyer.session_id for buyer in reversed(buyers)]
        assert found(status="closed") == [buyers[0].session_id]
        assert found(order_id=buyers[1].session.order_id) == [buyers[1].session_id]
        assert found(query=buyers[2].session_id) == [buyers[2].session_id]
        assert buyers[1].get(SESSIONS).status_code == 403

    def test_a_list_takes_no_more_statements_for_more(self, api, environment):
        def statements() -> int:
            with CaptureQueriesContext(connection) as captured:
                api.get(SESSIONS)
            return len(captured)

        buyer_of(stories.open_order(environment))
        few = statements()
        for _ in range(4):
            pay(buyer_of(order := stories.open_order(environment)), order, THREE_D_SECURE)
        assert statements() <= few + 3

    def test_statements(self, api, order):
        """Hot routes; a bound that is passed has to be explained."""

        def statements(call) -> int:
            with CaptureQueriesContext(connection) as captured:
                answer = call()
            assert answer.status_code < 300, answer.content
            return len(captured)

        counted = {"create": statements(lambda: api.post(SESSIONS, {"order_id": order.id}))}
        session = CheckoutSession.objects.get()
        counted["get"] = statements(lambda: api.get(f"{SESSIONS}/{session.id}"))
        other = stories.open_order(order.environment)
        buyer = buyer_of(other)
        counted["get by buyer"] = statements(lambda: buyer.get(f"{SESSIONS}/{buyer.session_id}"))
        counted["order by buyer"] = statements(lambda: buyer.get(f"/v1/orders/{other.id}"))
        counted["pay by buyer"] = statements(lambda: pay(buyer, other))
        bounds = {"create": 20, "get": 5, "get by buyer": 5, "order by buyer": 10, "pay by buyer": 70}
        assert {name: count for name, count in counted.items() if count > bounds[name]} == {}, counted


class TestChanging:
    def test_a_merchant_changes_its_references_also_after_the_end(self, api, order):
        buyer = buyer_of(order, metadata={"a": "1", "b": "2"})
        api.post(f"{SESSIONS}/{buyer.session_id}/close", {})

        body = {"metadata": {"a": None, "c": "3"}, "external_reference_id": "crm-2"}
        changed = api.patch(f"{SESSIONS}/{buyer.session_id}", body)

        assert changed.data["metadata"] == {"b": "2", "c": "3"}
        assert changed.data["external_reference_id"] == "crm-2"

    def test_a_buyer_says_how_it_is_reached(self, api, order):
        buyer = buyer_of(order)
        path = f"{SESSIONS}/{buyer.session_id}"

        body = {"buyer_contact": {"email": "ann@example.com", "phone": "+4930123456"}, "timezone": "Europe/Berlin"}
        told = buyer.patch(path, body).data["buyer_contact"]
        again = buyer.patch(path, body).data["buyer_contact"]
        cleared = buyer.patch(path, {"buyer_contact": {"email": None}}).data["buyer_contact"]

        assert again == told
        assert (cleared["email"], cleared["is_email_cleared"], cleared["phone"]) == (None, True, "+4930123456")

    def test_each_has_its_own_fields(self, api, order):
        buyer = buyer_of(order)
        path, code = f"{SESSIONS}/{buyer.session_id}", "CHECKOUT_SESSION_UPDATE_FIELD_NOT_ALLOWED"
        assert api.patch(path, {"buyer_contact": {"email": "ann@example.com"}}).code == code
        assert api.patch(path, {"timezone": "Europe/Berlin"}).code == code
        assert buyer.patch(path, {"metadata": {"a": "b"}}).code == code
        assert buyer.patch(path, {"timezone": "Europe/Atlantis"}).code == "INVALID_TIMEZONE"
        assert buyer.patch(path, {"redirects": {}}).code == "UNKNOWN_FIELD"


class TestClosing:
    def test_by_the_merchant_with_a_private_note(self, api, order):
        buyer = buyer_of(order)

        closed = api.post(f"{SESSIONS}/{buyer.session_id}/close", {"reason_message": "Sold out"})

        assert (closed.data["status"], closed.data["terminal_reason"]) == ("closed", "api")
        assert closed.data["closed_reason"] == "Sold out"
        assert kinds_of(order)[-1] == "checkout_session.closed"
        assert pay(buyer, order).code == "CHECKOUT_SESSION_NOT_OPEN"
        again = api.post(f"{SESSIONS}/{buyer.session_id}/close", {})
        assert (again.code, again.error["current_status"]) == ("CHECKOUT_SESSION_NOT_OPEN", "closed")

    def test_not_while_it_is_being_paid(self, api, order):
        buyer = buyer_of(order)
        pay(buyer, order, THREE_D_SECURE)
        with nothing_moves(order):
            assert api.post(f"{SESSIONS}/{buyer.session_id}/close", {}).code == "CHECKOUT_PAYMENT_RESOLVING"


class TestEnding:
    def test_a_merchants_edit_ends_it_and_a_buyers_own_does_not(self, api, order):
        buyer = buyer_of(order, tip={"enabled": True})
        buyer.patch(f"/v1/orders/{order.id}", {"requested_tip": {"amount_money": wire(eur(100))}})
        assert buyer.session.status == "open"

        api.patch(f"/v1/orders/{order.id}", {"requested_tip": {"amount_money": wire(eur(200))}})

        assert (buyer.session.status, buyer.session.terminal_reason) == ("invalidated", "order_mutated")
        assert kinds_of(order)[-1] == "checkout_session.invalidated"
        types = [row.get("activity_type") for row in api.get(f"/v1/orders/{order.id}/activities").data]
        assert types[0] == "checkout_session_invalidated"

    def test_words_and_references_are_no_edit_of_what_is_owed(self, api, order):
        buyer = buyer_of(order)
        api.patch(f"/v1/orders/{order.id}", {"internal_note": "VIP", "metadata": {"a": "b"}})
        assert buyer.session.status == "open"

    def test_d011_an_item_added_in_another_tab_is_never_paid_with_the_old_amount(self, api, order):
        buyer = buyer_of(order)
        tv = {"name": "TV", "unit_price_money": wire(eur(9))}
        api.post(f"/v1/orders/{order.id}/line-items", {"line_items": [tv]})

        assert pay(buyer, order, expected_outstanding_money=wire(eur(10_000))).code == "CHECKOUT_SESSION_NOT_OPEN"

        again = buyer_of(order)
        stale = pay(again, order, expected_outstanding_money=wire(eur(10_000)))
        assert (stale.code, stale.error["current_money"]["amount"]) == ("ORDER_CHANGED_REFRESH_REQUIRED", 10_009)
        pay(again, order, expected_outstanding_money=wire(eur(10_009)))
        assert_books(order, paid=10_009, outstanding=0, payment_status="paid")

    def test_d017_no_line_leaves_an_order_that_is_being_paid(self, api, environment):
        order = stories.open_order(environment, line(3_000), line(7_000))
        buyer = buyer_of(order)
        pay(buyer, order, THREE_D_SECURE)
        path = f"/v1/orders/{order.id}/line-items/{order.line_items.first().id}"
        with nothing_moves(order):
            for answer in (
                api.delete(path),
                api.patch(path, {"quantity": 2}),
                buyer.patch(f"/v1/orders/{order.id}", {"buyer_note": "x", "requested_tip": None}),
            ):
                assert answer.status_code in (403, 409)
            assert buyer.delete(path).status_code == 403

    def test_closing_the_order_ends_it(self, api, order):
        buyer = buyer_of(order)
        assert api.post(f"/v1/orders/{order.id}/close", {}).status_code == 200
        assert buyer.session.status == "invalidated"
        assert pay(buyer, order).code == "CHECKOUT_SESSION_NOT_OPEN"

    def test_no_other_customer_while_it_is_open(self, api, order, environment):
        customer = services.create_customer(data={"email": "ann@example.com"}, actor=stories.actor_in(environment))
        buyer = buyer_of(order)
        with nothing_moves(order):
            refused = api.patch(f"/v1/orders/{order.id}", {"customer_id": customer.id})
        assert refused.code == "ORDER_CUSTOMER_CHECKOUT_ACTIVE"
        assert refused.error["existing_checkout_session_id"] == buyer.session_id
        api.post(f"{SESSIONS}/{buyer.session_id}/close", {})
        assert api.patch(f"/v1/orders/{order.id}", {"customer_id": customer.id}).status_code == 200

    def test_a_merchant_does_not_collect_past_it(self, api, order):
        buyer = buyer_of(order)
        with nothing_moves(order):
            for answer in (pay(api, order), api.post(f"/v1/orders/{order.id}/payment-intents", {})):
                assert answer.code == "ORDER_HAS_OPEN_CHECKOUT"
                assert answer.error["existing_checkout_session_id"] == buyer.session_id

    def test_paid(self, api, order):
        buyer = buyer_of(order)

        paid = pay(buyer, order)

        assert paid.data["order"]["payment_status"] == "paid"
        assert (buyer.session.status, buyer.session.terminal_reason) == ("paid", "payment_succeeded")
        assert kinds_of(order)[-1] == "checkout_session.completed"
        shown = read(buyer, buyer.session_id)
        assert "active_payment_attempt" not in shown and "payment_collection" not in shown
        assert_books(order, paid=10_000, outstanding=0)

    def test_a_decline_leaves_it_open(self, api, order):
        buyer = buyer_of(order)
        assert pay(buyer, order, DECLINED).data["payment_attempt"]["status"] == "failed"
        assert buyer.session.status == "open"
        pay(buyer, order)
        assert buyer.session.status == "paid"

    def test_a_part_ends_it_too(self, api, order):
        buyer = buyer_of(order)
        leg = stage(buyer, order, 4_000)
        body = {
            "action": "confirm_payment_intents",
            "payment_intents": [{"payment_intent_id": leg, "token": "pm_card_visa"}],
            "completion_behavior": "partial_payment",
        }
        buyer.post(f"/v1/orders/{order.id}/pay", body)

        assert (buyer.session.status, buyer.session.terminal_reason) == (
            "partially_paid",
            "payment_partially_succeeded",
        )
        assert api.post(SESSIONS, {"order_id": order.id}).status_code == 201

    @pytest.mark.parametrize("second", [DECLINED, THREE_D_SECURE])
    def test_a_part_ends_it_also_when_the_rest_came_to_nothing_later(self, api, order, second):
        buyer = buyer_of(order)
        legs = [stage(buyer, order, 4_000), stage(buyer, order, 6_000)]
        intents = [
            {"payment_intent_id": leg, "token": token}
            for leg, token in zip(legs, ("pm_card_visa", second), strict=True)
        ]
        body = {"action": "confirm_payment_intents", "payment_intents": intents}
        answer = buyer.post(f"/v1/orders/{order.id}/pay", body)
        if second == THREE_D_SECURE:
            assert buyer.session.status == "open"
            cancel_attempt(buyer, order, attempt_of(answer))

        assert buyer.session.status == "partially_paid"
        assert_books(order, paid=4_000, outstanding=6_000, active_attempt_id="")

    def test_a_hold_keeps_it_open_until_it_is_taken_however_late(self, api, order):
        buyer = buyer_of(order)
        leg, attempt = hold(buyer, order)
        over(buyer)

        assert read(buyer, buyer.session_id)["status"] == "open"
        assert api.post(SESSIONS, {"order_id": order.id}).code == "CHECKOUT_SESSION_ALREADY_EXISTS"
        capture(api, order, leg, attempt)

        assert buyer.session.status == "paid"

    def test_cancelling_the_attempt_leaves_it_open(self, api, order):
        buyer = buyer_of(order)
        waiting = pay(buyer, order, THREE_D_SECURE)

        canceled = cancel_attempt(buyer, order, attempt_of(waiting))

        assert canceled.data["payment_attempt"]["status"] == "canceled"
        assert buyer.session.status == "open"
        pay(buyer, order)
        assert_books(order, paid=10_000)

    def test_an_order_that_owes_nothing_is_settled_through_it(self, api, environment):
        order = stories.open_order(environment, total=0)
        buyer = buyer_of(order)

        settled = buyer.post(f"/v1/orders/{order.id}/pay", {"action": "pay"})

        assert settled.data["payment_attempt"]["mode"] == "settlement"
        assert buyer.session.status == "paid"

    def test_a_refund_on_the_order_changes_nothing_for_it(self, api, environment):
        order = stories.paid_order(environment)
        services.add_line_items(order_id=order.id, line_items=[line(500)], actor=stories.actor_in(environment))
        buyer = buyer_of(order)
        stories.refund(order, amount_money=eur(1_000))

        assert buyer.session.status == "open"
        shown = read(buyer, buyer.session_id)
        assert shown["payment_collection"]["stripe"]["elements"]["amount_money"] == wire(eur(500))
        pay(buyer, order)
        assert_books(order, paid=10_500, refunded=1_000, outstanding=0)


def test_nothing_of_it_is_the_buyers_of_another_merchant(order, other_api):
    buyer = buyer_of(order)
    assert other_api.get(f"{SESSIONS}/{buyer.session_id}").status_code == 404
    stranger = Buyer(buyer.session_id, "cst_nothing", order.environment)
    assert stranger.get(f"{SESSIONS}/{buyer.session_id}").code == "INVALID_CHECKOUT_SESSION"
