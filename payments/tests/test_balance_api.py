"""Reading the balance, its movements and payouts over the API."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint import actors
from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.stories import eur, wire
from payments.models import BalanceTransaction
from payments.processors.base import PayoutState
from payments.services.payouts import record_payout
from payments.tests.acts import later
from payments.tests.test_movements import of_sale, record, told

PATHS = ("/v1/balances", "/v1/balance-transactions", "/v1/payouts")


@pytest.fixture
def sale(environment):
    return stories.paid_order(environment, total=10_000)


@pytest.fixture
def payout(environment):
    state = PayoutState("po_1", "in_transit", eur(9_000), environment.id, created_at=timezone.now())
    return record_payout(state, processor="sandbox", actor=actors.processor(environment.id, "sandbox"))


def ids(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [each["balance_transaction_id"] for each in response.data]


def test_a_movement_shows_gross_fee_and_net(environment, sale, api, merchant):
    (row,) = record(environment, of_sale(sale, amount=10_000, fee=320, description="Sale"))
    shown = api.get(f"/v1/balance-transactions/{row.id}").data
    leg = sale.payment_intents.get()
    assert shown.pop("occurred_at")
    assert shown == {
        "balance_transaction_id": row.id,
        "merchant_id": merchant.id,
        "type": "payment",
        "status": "pending",
        "currency": "EUR",
        "amount_money": wire(eur(10_000)),
        "fee_money": wire(eur(320)),
        "net_money": wire(eur(9_680)),
        "order_id": sale.id,
        "related_resource": {"type": "payment_intent", "payment_intent_id": leg.id},
        "description": "Sale",
    }


def test_the_order_is_shown_on_demand_to_who_may_see_it(environment, sale, api):
    (row,) = record(environment, of_sale(sale))
    path = f"/v1/balance-transactions/{row.id}"
    assert api.get(path, {"expand": "order"}).data["order"]["order_number"] == sale.order_number
    assert api.get(path, {"expand": "payout"}).code == "INVALID_EXPAND"
    narrow = client_of(environment, scopes=["money_movement.balance_transactions.read"])
    assert narrow.get(path).status_code == 200
    assert narrow.get(path, {"expand": "order"}).code == "INSUFFICIENT_SCOPE"


def test_an_unknown_movement_relates_to_nothing(environment, api):
    (row,) = record(environment, told(environment, source_kind="payment", source_reference="pay_unknown"))
    shown = api.get(f"/v1/balance-transactions/{row.id}", {"expand": "order"}).data
    assert "related_resource" not in shown and "order_id" not in shown
    assert shown["order"] is None


def test_the_hidden_order_of_a_payment_without_one_is_not_shown(environment, api):
    made = api.post("/v1/payment-intents", {"amount_money": wire(eur(1_000)), "payment_options": ["card"]}).data
    intent = made.get("payment_intent", made)["payment_intent_id"]
    paid = api.post(f"/v1/payment-intents/{intent}/confirm", {"payment_source_token": "pm_card_visa"})
    assert paid.status_code == 200, paid.content
    operation = BalanceTransaction._meta.get_field("payment_intent").related_model.objects.get(id=intent).operations
    reference = operation.get(kind="confirm").reference
    state = told(environment, amount=1_000, fee=59, source_kind="payment", source_reference=reference)
    (row,) = record(environment, state)
    shown = api.get(f"/v1/balance-transactions/{row.id}", {"expand": "order"}).data
    assert shown["related_resource"] == {"type": "payment_intent", "payment_intent_id": intent}
    assert "order_id" not in shown and shown["order"] is None
    assert api.get(f"/v1/payment-intents/{intent}").data["processing_fee_money"] == wire(eur(59))


def test_movements_are_filtered(environment, sale, api):
    at = timezone.now()
    payment, adjustment = record(
        environment,
        of_sale(sale, "btx_1", occurred_at=at, available_at=later(days=2)),
        told(environment, "btx_2", type="adjustment", amount=50, fee=0, currency="USD", status="available",
             occurred_at=later(hours=-3), available_at=later(hours=-2)),
    )  # fmt: skip
    path = "/v1/balance-transactions"
    assert ids(api.get(path)) == [payment.id, adjustment.id]
    for query, found in [
        ({"currency": "USD"}, adjustment),
        ({"type": "payment"}, payment),
        ({"status": "available"}, adjustment),
        ({"related_object_type": "payment_intent"}, payment),
        ({"related_object_id": sale.payment_intents.get().id}, payment),
        ({"created_after": at.isoformat()}, payment),
        ({"created_before": at.isoformat()}, adjustment),
        ({"available_after": at.isoformat()}, payment),
        ({"available_before": at.isoformat()}, adjustment),
    ]:
        assert ids(api.get(path, query)) == [found.id], query
    assert ids(api.get(path, {"type": "merchant_billing_payment"})) == []
    assert api.get(path, {"currency": "euro"}).code == "INVALID_CURRENCY"
    assert api.get(path, {"type": "gift"}).status_code == 400


def test_movements_come_in_pages_by_when_they_occurred(environment, api):
    record(
        environment,
        *(
            told(environment, f"btx_{n}", type="adjustment", amount=n, fee=0, occurred_at=later(hours=-n))
            for n in range(1, 6)
        ),
    )
    path, query, seen = "/v1/balance-transactions", {"page_size": 2}, []
    while True:
        response = api.get(path, query)
        seen += [each["amount_money"]["amount"] for each in response.data]
        token = response.json().get("next_page_token")
        if not token:
            break
        query = {"page_size": 2, "page_token": token}
    assert seen == [1, 2, 3, 4, 5]


def test_a_list_takes_as_many_statements_for_many(environment, api):
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert api.get("/v1/balance-transactions", {"page_size": 100}).status_code == 200
        return len(captured)

    record(environment, of_sale(stories.paid_order(environment), "btx_0"))
    one = statements()
    for n in range(1, 5):
        record(environment, of_sale(stories.paid_order(environment), f"btx_{n}"))
    assert statements() == one


def test_a_payout_is_shown(environment, payout, api, merchant):
    shown = api.get(f"/v1/payouts/{payout.id}").data
    assert api.get("/v1/payouts").data == [shown]
    assert shown.pop("created_at") and shown.pop("updated_at")
    assert shown == {
        "payout_id": payout.id,
        "merchant_id": merchant.id,
        "status": "in_transit",
        "reversal_status": "none",
        "initiated_by": "scheduled",
        "amount_money": wire(eur(9_000)),
        "currency": "EUR",
        "fee_amount_status": "not_applicable",
    }
    assert api.get("/v1/payouts", {"status": "paid"}).data == []
    assert api.get("/v1/payouts", {"currency": "USD"}).data == []
    assert api.get(f"/v1/payouts/{payout.id}/entries").data == []


def test_a_paid_payout_without_all_its_movements_shows_none(environment, payout, api):
    actor = actors.processor(environment.id, "sandbox")
    state = PayoutState("po_1", "paid", eur(9_000), environment.id, created_at=payout.made_at)
    record_payout(state, processor="sandbox", actor=actor)
    record(environment, told(environment, type="adjustment", amount=8_000, fee=0), payout=payout)
    refused = api.get(f"/v1/payouts/{payout.id}/entries")
    assert (refused.status_code, refused.code) == (503, "PAYOUT_ENTRIES_UNAVAILABLE")


def test_what_is_absent_is_said_to_be(api):
    for path, code in [
        ("/v1/balance-transactions/btx_01J00000000000000000000000", "BALANCE_TRANSACTION_NOT_FOUND"),
        ("/v1/payouts/po_01J00000000000000000000000", "PAYOUT_NOT_FOUND"),
        ("/v1/payouts/po_01J00000000000000000000000/entries", "PAYOUT_NOT_FOUND"),
    ]:
        refused = api.get(path)
        assert (refused.status_code, refused.code) == (404, code)


@pytest.mark.parametrize("path", PATHS)
def test_each_has_a_scope_of_its_own(environment, path):
    assert client_of(environment, scopes=["commerce.orders.read"]).get(path).code == "INSUFFICIENT_SCOPE"
    scope = f"money_movement.{path.removeprefix('/v1/').replace('-', '_')}.read"
    assert client_of(environment, scopes=[scope]).get(path).status_code == 200


def test_payouts_are_made_and_canceled_at_the_processor_only(payout, api):
    assert api.post("/v1/payouts", {"amount_money": wire(eur(100))}).code == "METHOD_NOT_ALLOWED"
    assert api.post(f"/v1/payouts/{payout.id}/cancel", {}).code == "ROUTE_NOT_FOUND"


def test_lists_hold_nothing_of_anybody_else(environment, sale, payout, other_api):
    record(environment, of_sale(sale))
    for path in PATHS:
        assert other_api.get(path).data == []
