import pytest
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import settled, eur, wire

def test_pay(api, environment):
    order = stories.open_order(environment)
    r = api.post(f"/v1/orders/{order.id}/pay", {"action":"pay","payment_source":{"token":"pm_card_visa"}, "expected_outstanding_money": wire(eur(10000))}, key="k1")
    assert r.status_code == 200, r.content
    assert r.data["payment_attempt"]["status"] == "succeeded"
    assert r.data["order"]["payment_status"] == "paid"
    r2 = api.post(f"/v1/orders/{order.id}/pay", {"action":"pay","payment_source":{"token":"pm_card_visa"}, "expected_outstanding_money": wire(eur(10000))}, key="k1")
    assert r2.headers["Idempotency-Replayed"] == "true"
    r3 = api.post(f"/v1/orders/{order.id}/pay", {"action":"pay","payment_source":{"token":"pm_card_visa"}})
    assert r3.code == "ORDER_ALREADY_PAID"
    with settled():
        r4 = api.post("/v1/refunds", {"order_id": order.id, "amount_money": wire(eur(3000))})
    assert r4.status_code == 201, r4.content
    assert api.get(f"/v1/refunds/{r4.data['refund_id']}").data["status"] == "succeeded"
    assert len(api.get("/v1/refunds", {"order_id": order.id}).data) == 1
    attempts = api.get(f"/v1/orders/{order.id}/payment-attempts")
    assert len(attempts.data) == 1

def test_threeds(api, environment):
    order = stories.open_order(environment)
    r = api.post(f"/v1/orders/{order.id}/pay", {"action":"pay","payment_source":{"token":"pm_card_threeDSecure2Required"}})
    a = r.data["payment_attempt"]
    assert a["status"] == "requires_action"
    secret = a["pending_actions"][0]["client_action"]["stripe"]["payment_intent"]["client_secret"]
    r = api.post(f"/v1/orders/{order.id}/pay", {"action":"pay","payment_source":{"token":"pm_card_visa"}})
    assert r.code == "ORDER_PAYMENT_ATTEMPT_ACTIVE" and r.error["is_resumable"], r.error
    api.http.post(f"/sandbox/3ds/{secret}/complete", {"outcome": "pass"})
    r = api.post(f"/v1/orders/{order.id}/pay", {"action":"resume","order_payment_attempt_id": a["order_payment_attempt_id"]})
    assert r.data["payment_attempt"]["status"] == "succeeded", r.data

def test_hold(api, environment):
    order = stories.open_order(environment)
    r = api.post(f"/v1/orders/{order.id}/payment-intents", {"capture_method": "manual"})
    assert r.status_code == 201
    pi = r.data["payment_intent"]["payment_intent_id"]
    r = api.post(f"/v1/orders/{order.id}/pay", {"action":"confirm_payment_intents","payment_intents":[{"payment_intent_id": pi, "token":"pm_card_visa"}]})
    at = r.data["payment_attempt"]
    assert at["status"] == "requires_capture"
    assert r.data["order"]["authorization_amounts"]["capturable_money"]["amount"] == 10000
    r = api.post(f"/v1/orders/{order.id}/payment-intents/{pi}/capture", {"amount_money": wire(eur(4000))})
    assert r.code == "PAYMENT_ATTEMPT_ID_REQUIRED"
    r = api.post(f"/v1/orders/{order.id}/payment-intents/{pi}/capture", {"amount_money": wire(eur(40000)), "order_payment_attempt_id": at["order_payment_attempt_id"]})
    assert r.code == "CAPTURE_AMOUNT_EXCEEDS_CAPTURABLE"
    r = api.post(f"/v1/orders/{order.id}/payment-intents/{pi}/capture", {"amount_money": wire(eur(4000)), "order_payment_attempt_id": at["order_payment_attempt_id"]})
    assert r.data["payment_intent"]["released_money"]["amount"] == 6000
    r = api.post(f"/v1/orders/{order.id}/payment-intents/{pi}/cancel", {})
    assert r.code == "ORDER_PAYMENT_LEG_ALREADY_SETTLED"

def test_cancel(api, environment):
    order = stories.held_order(environment)
    r = api.post(f"/v1/orders/{order.id}/payment-attempts/{order.active_attempt_id}/cancel", {})
    assert r.status_code == 200, r.content
    assert r.data["payment_attempt"]["status"] == "canceled"
    assert_books(order, paid=0, outstanding=10000)
