"""Reading refunds: with what they are about, filtered and sorted; and the one thing of a refund that can be changed."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flint.celery import collecting
from flint.merchants.scopes import CATALOGUE
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from flint.testing.staff import page, signed_in
from flint.testing.stories import actor_in, eur, line, settled, wire
from orders.services import create_customer
from payments.processors.sandbox import dashboard
from payments.tests.acts import at_processor, confirm, kinds_of, later, nothing_moves, pay, reference_of, stage
from payments.tests.reconciling import reconcile


@pytest.fixture
def customer(environment):
    return create_customer(data={"email": "ada@buyer.example"}, actor=actor_in(environment))


@pytest.fixture
def order(environment, customer):
    return stories.paid_order(environment, line(10_000), customer_id=customer.id)


def create(api, order, **data) -> dict:
    with settled():
        made = api.post("/v1/refunds", {"order_id": order.id, **data})
    assert made.status_code == 201, made.content
    return made.data


def test_everything_it_is_about_can_be_read_with_it(api, order, customer):
    made = create(api, order, amount_money=wire(eur(400)))
    paths = ["customer", "order", "payment_intent", "payment_refunds.payment_intent"]

    plain = api.get(f"/v1/refunds/{made['refund_id']}").data
    shown = api.get(f"/v1/refunds/{made['refund_id']}", {"expand": ",".join(paths)}).data

    assert not {"customer", "order", "payment_intent"} & set(plain)
    assert "payment_intent" not in plain["payment_refunds"][0]
    assert shown["customer"]["email"] == "ada@buyer.example"
    assert (shown["order"]["order_id"], shown["order"]["refund_status"]) == (order.id, "partially_refunded")
    intent = order.payment_intents.get().id
    assert shown["payment_intent"]["payment_intent_id"] == intent
    assert shown["payment_refunds"][0]["payment_intent"]["payment_intent_id"] == intent


def test_of_several_payments_none_is_the_payment(api, environment):
    order = stories.open_order(environment)
    first, second = stage(api, order, 6_000), stage(api, order, 4_000)
    confirm(api, order, first, completion_behavior="partial_payment")
    confirm(api, order, second)
    made = create(api, order)

    paths = "payment_intent,payment_refunds.payment_intent"
    shown = api.get(f"/v1/refunds/{made['refund_id']}", {"expand": paths}).data

    assert shown["payment_intent"] is None
    rows = [row["payment_intent"]["payment_intent_id"] for row in shown["payment_refunds"]]
    assert rows == [second, first]


@pytest.mark.parametrize("path", ["invoice", "order.customer", "customer,refunds"])
def test_what_it_is_not_about_cannot_be_asked_for(api, order, path):
    made = create(api, order)
    assert api.get(f"/v1/refunds/{made['refund_id']}", {"expand": path}).code == "INVALID_EXPAND"


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("customer", "customers.read"),
        ("order", "commerce.orders.read"),
        ("payment_refunds.payment_intent", "payments.payment_intents.read"),
    ],
)
def test_each_needs_its_own_scope(environment, api, order, path, scope):
    made = create(api, order)
    less = client_of(environment, scopes=sorted(CATALOGUE - {scope, scope.replace(".read", ".write")}))

    assert less.get(f"/v1/refunds/{made['refund_id']}").status_code == 200
    refused = less.get(f"/v1/refunds/{made['refund_id']}", {"expand": path})
    assert (refused.status_code, refused.code) == (403, "INSUFFICIENT_SCOPE")


def test_the_list_is_filtered_and_sorted_every_way(api, order, customer, environment):
    other = stories.open_order(environment, line(5_000, currency="USD"))
    pay(api, other)
    small = create(api, order, amount_money=wire(eur(100)), reason="duplicate", reason_message="Twice in the basket.")
    large = create(api, other, external_reference_id="rma-1")

    def listed(**query):
        answer = api.get("/v1/refunds", query)
        assert answer.status_code == 200, answer.content
        return [row["refund_id"] for row in answer.data]

    s, b = small["refund_id"], large["refund_id"]
    for query, found in (
        ({}, [b, s]),
        ({"customer_id": customer.id}, [s]),
        ({"currency": "USD"}, [b]),
        ({"min_amount": 101}, [b]),
        ({"max_amount": 100}, [s]),
        ({"reason": "duplicate,other"}, [s]),
        ({"refund_method": "original_payment"}, [b, s]),
        ({"created_after": large["created_at"]}, [b]),
        ({"created_before": large["created_at"]}, [s]),
        ({"updated_after": "2020-01-01T00:00:00Z"}, [b, s]),
        ({"updated_before": "2020-01-01T00:00:00Z"}, []),
        ({"sort_by": "amount", "sort_direction": "asc"}, [s, b]),
        ({"sort_by": "amount"}, [b, s]),
        ({"sort_by": "created_at", "sort_direction": "asc"}, [s, b]),
        ({"sort_by": "updated_at", "sort_direction": "asc"}, [s, b]),
        ({"query": s}, [s]),
        ({"query": order.order_number}, [s]),
        ({"query": "ADA@buyer.example"}, [s]),
        ({"query": "basket"}, [s]),
        ({"query": "rma-1"}, [b]),
        ({"query": other.payment_intents.get().id}, [b]),
        ({"query": "nothing like it"}, []),
    ):
        assert listed(**query) == found, query
    for query, code in (
        ({"status": "done"}, "INVALID_REFUND_STATUS"),
        ({"reason": "because"}, "INVALID_REFUND_REASON"),
        ({"refund_method": "cash"}, "INVALID_REFUND_METHOD"),
        ({"min_amount": 0}, "INVALID_MIN_AMOUNT"),
        ({"min_amount": 5, "max_amount": 4}, "INVALID_AMOUNT_RANGE"),
        ({"sort_by": "reason"}, "INVALID_SORT_BY"),
        ({"expand": "order"}, "UNSUPPORTED_QUERY_PARAM"),
    ):
        assert api.get("/v1/refunds", query).code == code


def test_a_longer_list_takes_no_more_statements(api, environment, order):
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            api.get("/v1/refunds")
        return len(captured)

    create(api, order, amount_money=wire(eur(100)))
    one = statements()
    for _ in range(4):
        create(api, stories.paid_order(environment))

    assert statements() == one


class TestMetadata:
    """Metadata is the merchant's own and may change; nothing else of a refund does."""

    def change(self, api, made: dict, body: dict, **options):
        return api.patch(f"/v1/refunds/{made['refund_id']}", body, **options)

    def test_it_is_merged(self, api, order):
        made = create(api, order, metadata={"shelf": "3", "clerk": "Ada"})

        changed = self.change(api, made, {"metadata": {"shelf": None, "note": ""}})

        assert changed.data["metadata"] == {"clerk": "Ada", "note": ""}
        assert kinds_of(order)[-1] == "refund.updated"
        assert self.change(api, made, {"metadata": None}).data["metadata"] == {}
        assert_books(order, refunded=10_000)

    def test_what_is_so_already_changes_nothing(self, api, order):
        made = create(api, order, metadata={"shelf": "3"})

        with nothing_moves(order):
            for same in ({}, {"shelf": "3"}, {"other": None}):
                assert self.change(api, made, {"metadata": same}).data["metadata"] == {"shelf": "3"}

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "NO_FIELDS_TO_UPDATE"),
            ({"amount_money": wire(eur(1))}, "UNKNOWN_FIELD"),
            ({"reason": "other"}, "UNKNOWN_FIELD"),
            ({"metadata": {"flint_x": "1"}}, "RESERVED_METADATA_KEY"),
            ({"metadata": {"x": 1}}, "INVALID_METADATA"),
        ],
    )
    def test_nothing_else_changes(self, api, order, body, code):
        made = create(api, order)
        with nothing_moves(order):
            assert self.change(api, made, body).code == code

    def test_a_strangers_cannot_be_changed(self, other_api, api, order):
        made = create(api, order)
        with nothing_moves(order):
            assert self.change(other_api, made, {"metadata": {"x": "1"}}).code == "RESOURCE_NOT_FOUND"

    def test_the_same_key_changes_it_once(self, api, order):
        made = create(api, order)
        first = self.change(api, made, {"metadata": {"x": "1"}}, key="again")
        with nothing_moves(order):
            again = self.change(api, made, {"metadata": {"x": "1"}}, key="again")
        assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")


def test_d092_a_promise_and_what_became_of_it_are_seen_at_every_step(api, order):
    with collecting():
        made = api.post("/v1/refunds", {"order_id": order.id, "amount_money": wire(eur(1_000))}).data

    def seen() -> tuple:
        shown = api.get(f"/v1/refunds/{made['refund_id']}", {"expand": "order"}).data
        amounts = api.get(f"/v1/orders/{order.id}").data["settlement_amounts"]
        return shown["status"], shown["order"]["refund_status"], amounts["refunded_money"], amounts["credit_money"]

    assert seen() == ("pending", "none", wire(eur(0)), wire(eur(0)))
    assert_books(order, refund_pending=1_000, refunded=0, credit=0, balance=0)
    with settled():
        stories.sweep(at=later(minutes=1))

    assert seen() == ("succeeded", "partially_refunded", wire(eur(1_000)), wire(eur(1_000)))
    assert_books(order, refund_pending=0, refunded=1_000, credit=1_000, balance=0, payment_status="paid")


def test_d094_a_refund_that_comes_by_itself_is_summed_and_never_cut_off(environment):
    order = stories.paid_order(environment, total=6_000)
    dashboard.refund(environment_id=environment.id, reference=reference_of(order), money=eur(5_900))
    reconcile(environment)

    assert_books(order, paid=6_000, refunded=5_900, credit=5_900, balance=0, refund_status="partially_refunded")
    assert [effect.amount for effect in at_processor(order).refunds] == [5_900]


def test_d099_nobody_gives_back_more_than_was_received(api, merchant, environment):
    order = stories.open_order(environment, line(3_000))
    confirm(api, order, stage(api, order, 1_000), completion_behavior="partial_payment")
    with nothing_moves(order):
        refused = api.post("/v1/refunds", {"order_id": order.id, "amount_money": wire(eur(2_000))})
        assert (refused.code, refused.error["maximum_money"]) == ("AMOUNT_EXCEEDS_REFUNDABLE", wire(eur(1_000)))

    owner = signed_in(merchant, "owner")
    url = reverse("admin:orders_order_refund", args=[order.id])
    token = page(owner.get(url)).split('name="token" value="')[1].split('"')[0]
    with nothing_moves(order):
        answer = owner.post(
            url, {"token": token, "how": "amount", "amount": "20.00", "reason": "", "reason_message": ""}
        )
    assert answer.status_code == 400
    assert_books(order, paid=1_000, refunded=0, outstanding=2_000)
