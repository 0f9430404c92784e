"""Refunds through their whole life: reserved, sent, booked, failed, and how they share out what they give back."""

import itertools

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books, balances
from flint.testing.stories import eur, line, settled, sweep, wire
from orders.models import Order
from orders.services import add_charge
from payments.tests import acts
from payments.tests.acts import at_processor, going_wrong, later, nothing_moves
from refunds.models import Refund, RefundLeg

ADDITIVE = {
    "calculation": {
        "mode": "external",
        "price_mode": "additive",
        "components": [
            {
                "jurisdiction": {"code": "us-ny", "country": "US", "level": "state", "name": "New York", "state": "NY"},
                "percent": 88_750,
                "tax_type": "sales_tax",
            }
        ],
    }
}
INCLUSIVE = {"calculation": {**ADDITIVE["calculation"], "price_mode": "inclusive"}}


def refund(api, order, **body):
    """Ask for a refund over HTTP and let what it sets off run."""
    with settled():
        return api.post("/v1/refunds", {"order_id": order.id, **body})


def test_everything_left_goes_back_line_by_line(api, environment):
    order = stories.paid_order(environment, line(1_000, quantity=3), line(599))

    made = refund(api, order)

    assert made.status_code == 201
    assert made.data["status"] == "pending"
    shown = api.get(f"/v1/refunds/{made.data['refund_id']}").data
    assert shown["status"] == "succeeded"
    assert [row["quantity"] for row in shown["line_item_allocations"]] == [3, 1]
    assert_books(order, refunded=3_599, credit=3_599, refund_pending=0, balance=0, refund_status="refunded")


def test_d052_money_that_was_only_held_cannot_be_refunded(api, environment):
    order = stories.held_order(environment)
    with nothing_moves(order):
        assert refund(api, order, amount_money=wire(eur(3_000))).code == "NO_PAYMENTS_FOR_ORDER"


def test_d147_units_one_by_one_leave_no_cent(api, environment):
    order = stories.paid_order(environment, line(3_333, quantity=3), discounts=[])
    target = order.line_items.get().id

    amounts = [
        refund(api, order, line_items=[{"order_line_item_id": target, "quantity": 1}]).data["amount_money"]["amount"]
        for _ in range(3)
    ]

    assert sum(amounts) == 9_999
    assert_books(order, refunded=9_999, balance=0)
    with nothing_moves(order):
        assert refund(api, order).code == "NOTHING_TO_REFUND"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount_money": wire(eur(10_001))}, "AMOUNT_EXCEEDS_REFUNDABLE"),
        ({"amount_money": wire(Money(100, "USD"))}, "CURRENCY_MISMATCH"),
        ({"amount_money": wire(eur(0))}, "AMOUNT_TOO_SMALL"),
        ({"line_items": [{"order_line_item_id": "oli_" + "0" * 26}]}, "LINE_ITEM_NOT_ON_ORDER"),
        ({"charges": [{"order_charge_id": "och_" + "0" * 26}]}, "CHARGE_NOT_ON_ORDER"),
        ({"reason": "because"}, "INVALID_REFUND_REASON"),
        ({"balance_effect": "sideways"}, "INVALID_BALANCE_EFFECT"),
        ({"tender_allocations": []}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
        ({"amuont": 1}, "UNKNOWN_FIELD"),
    ],
)
def test_what_is_refused_moves_nothing(api, environment, body, code):
    order = stories.paid_order(environment)
    with nothing_moves(order):
        assert refund(api, order, **body).code == code


def test_targets_are_capped_one_by_one(api, environment):
    order = stories.paid_order(environment, line(1_000, quantity=2), line(500))
    first = order.line_items.order_by("position").first().id

    def target(**more):
        return {"line_items": [{"order_line_item_id": first, **more}]}

    with nothing_moves(order):
        assert refund(api, order, **target(quantity=3)).code == "LINE_ITEM_REFUND_QUANTITY_EXCEEDS_REFUNDABLE"
        too_much = target(amount_money=wire(eur(2_001)))
        assert refund(api, order, **too_much).code == "LINE_ITEM_REFUND_AMOUNT_EXCEEDS_REFUNDABLE"
        both = target(quantity=1, amount_money=wire(eur(1)))
        assert refund(api, order, **both).code == "LINE_ITEM_REFUND_TARGET_AMBIGUOUS"
        twice = {"line_items": [*target()["line_items"], *target()["line_items"]]}
        assert refund(api, order, **twice).code == "DUPLICATE_LINE_ITEM_TARGET"
        below = {**target(), "amount_money": wire(eur(1_999))}
        assert refund(api, order, **below).code == "REFUND_TARGETS_EXCEED_REFUND_AMOUNT"


def test_d077_a_refund_that_is_refused_frees_what_it_reserved(api, environment):
    order = stories.open_order(environment)
    stories.pay(order, token="pm_card_refundRefused")

    made = refund(api, order, amount_money=wire(eur(4_000)))

    shown = api.get(f"/v1/refunds/{made.data['refund_id']}").data
    assert (shown["status"], shown["failure_reason"]) == ("failed", "insufficient_available_balance")
    assert_books(order, refunded=0, refund_pending=0, credit=0, balance=0, refundable_amount=10_000)
    assert at_processor(order).refunds == []


def test_d078_a_refund_that_fails_days_later_is_taken_back(api, environment):
    order = stories.open_order(environment)
    stories.pay(order, token="pm_card_refundFail")
    made = refund(api, order)
    assert_books(order, refunded=10_000, credit=10_000, refund_status="refunded")

    for _ in range(2):
        stories.time_passes(environment, later(days=3))

    shown = api.get(f"/v1/refunds/{made.data['refund_id']}").data
    assert shown["status"] == "failed"
    kinds = list(order.entries.order_by("sequence").values_list("kind", flat=True))
    assert kinds.count("refund") == kinds.count("refund_reversed") == 1
    assert_books(order, refunded=0, credit=0, balance=0, refund_status="none", refundable_amount=10_000)
    assert order.line_items.get().refunded_quantity == 0


def test_a_pending_refund_reserves_until_it_succeeds(api, environment):
    order = stories.open_order(environment)
    stories.pay(order, token="pm_card_pendingRefund")
    refund(api, order, amount_money=wire(eur(6_000)))

    assert_books(order, refund_pending=6_000, refunded=0, refundable_amount=4_000)
    with nothing_moves(order):
        assert refund(api, order, amount_money=wire(eur(4_001))).code == "AMOUNT_EXCEEDS_REFUNDABLE"
    stories.time_passes(environment, later(days=1))
    assert_books(order, refund_pending=0, refunded=6_000, credit=6_000, balance=0)


def test_d081_an_answer_that_is_lost_is_found_by_the_sweep(api, environment):
    order = stories.paid_order(environment)
    with going_wrong(order, on="refund", fault="lose_answer"):
        refund(api, order, amount_money=wire(eur(7_000)))
    assert_books(order, processor=False, refund_pending=7_000, refunded=0)

    sweep(at=later(minutes=1))

    assert [effect.amount for effect in at_processor(order).refunds] == [7_000]
    assert_books(order, refund_pending=0, refunded=7_000, credit=7_000, balance=0)


@pytest.mark.parametrize(("fault", "wait"), [("unreachable", 1), ("never_executed", 11)])
def test_a_refund_that_never_arrived_is_sent_again(api, environment, fault, wait):
    order = stories.paid_order(environment)
    with going_wrong(order, on="refund", fault=fault):
        refund(api, order)
    assert_books(order, refund_pending=10_000)

    sweep(at=later(minutes=wait))

    assert [effect.amount for effect in at_processor(order).refunds] == [10_000]
    assert_books(order, refunded=10_000, refund_pending=0, balance=0)


def test_d039_a_worker_that_wakes_after_thirty_hours_looks_before_it_sends(api, environment):
    order = stories.paid_order(environment)
    with going_wrong(order, on="refund", fault="lose_answer"):
        refund(api, order, amount_money=wire(eur(2_000)))

    stories.clock.advance(later(hours=30), environment.id)
    sweep(at=later(hours=30))

    assert [effect.amount for effect in at_processor(order).refunds] == [2_000]
    assert_books(order, refunded=2_000, credit=2_000, balance=0)


def test_a_task_that_was_lost_is_made_up_for(api, environment):
    order = stories.paid_order(environment)
    with stories.collecting():
        api.post("/v1/refunds", {"order_id": order.id})
    assert_books(order, refund_pending=10_000)

    sweep(at=later(seconds=1))

    assert_books(order, refunded=10_000, refund_pending=0)


def test_the_newest_payment_gives_back_first(api, environment):
    order = stories.open_order(environment)
    older, newer = acts.stage(api, order, 4_000), acts.stage(api, order, 6_000)
    acts.confirm(api, order, older, completion_behavior="partial_payment")
    acts.confirm(api, order, newer)

    made = refund(api, order, amount_money=wire(eur(7_500)))

    tenders = [(row["payment_intent_id"], row["amount_money"]["amount"]) for row in made.data["tender_allocations"]]
    assert tenders == [(newer, 6_000), (older, 1_500)]
    assert_books(order, refunded=7_500, credit=7_500, balance=0)


def test_d091_a_payment_correction_leaves_the_buyer_owing(api, environment):
    order = stories.paid_order(environment, total=2_500)

    refund(api, order, balance_effect="reopen")

    assert_books(order, refunded=2_500, credit=0, balance=2_500, payment_status="unpaid")
    acts.pay(api, order)
    assert_books(order, paid=5_000, refunded=2_500, credit=0, balance=0, payment_status="paid")


def test_d090_goods_that_come_back_are_not_owed_again(api, environment):
    order = stories.paid_order(environment, line(1_599), line(580))
    returned = order.line_items.order_by("position").first().id

    refund(api, order, line_items=[{"order_line_item_id": returned}])

    assert_books(order, refunded=1_599, credit=1_599, balance=0, payment_status="paid", total=2_179)


def test_d076_one_key_is_one_refund_and_another_key_another(api, environment):
    order = stories.paid_order(environment)
    body = {"order_id": order.id, "amount_money": wire(eur(2_000))}
    with settled():
        answers = [api.post("/v1/refunds", body, key=key) for key in ("a", "a", "b")]

    assert answers[0].data == answers[1].data
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert Refund.objects.count() == 2
    assert_books(order, refunded=4_000, balance=0)


PIECES = ("unit", "amount", "charge", "rest", "part")


@pytest.mark.parametrize("currency", ["JPY", "USD", "KWD"])
@pytest.mark.parametrize("order_of_pieces", list(itertools.permutations(PIECES))[::12])
def test_pieces_in_any_order_end_at_exactly_nothing(api, environment, currency, order_of_pieces):
    def money(amount):
        return wire(Money(amount, currency))

    actor = stories.actor_in(environment)
    order = stories.open_order(
        environment,
        line(333, quantity=3, currency=currency, tax=ADDITIVE),
        line(799, currency=currency, tax=INCLUSIVE),
        discounts=[{"manual": {"name": "Off", "amount_money": Money(77, currency)}}],
        requested_tip={"percent": 101_000},
        tax={
            "calculation": {
                "mode": "external",
                "price_mode": "additive",
                "components": [
                    {
                        "flat_money": Money(28, currency),
                        "jurisdiction": ADDITIVE["calculation"]["components"][0]["jurisdiction"],
                    }
                ],
            }
        },
    )
    fee = {"name": "Post", "type": "shipping_fee", "amount_money": Money(199, currency), "tax": ADDITIVE}
    order = add_charge(order_id=order.id, charge=fee, actor=actor)
    order = stories.pay(order).order
    first, second = order.line_items.order_by("position")
    wishes = {
        "unit": {"line_items": [{"order_line_item_id": first.id, "quantity": 1}]},
        "amount": {"line_items": [{"order_line_item_id": second.id, "amount_money": money(101)}]},
        "charge": {"charges": [{"order_charge_id": order.charges.get().id, "amount_money": money(53)}]},
        "part": {"amount_money": money(217)},
        "rest": {},
    }
    gone = False
    for piece in order_of_pieces:
        made = refund(api, order, **wishes[piece])
        if gone:
            assert made.code == "NOTHING_TO_REFUND"
        else:
            assert made.status_code == 201, made.content
        gone = gone or piece == "rest"

    order = assert_books(order, refunded=order.total_amount, credit=order.total_amount, balance=0, refundable_amount=0)
    parts = [
        *order.line_items.all(),
        *order.charges.all(),
        *order.tax_breakdowns.filter(calculation_type="flat_amount"),
    ]
    assert [part.remaining_amount for part in parts] == [0] * len(parts)
    assert order.tip_refunded_amount == order.settled_tip_amount == order.tip_amount
    assert {name: left for name, left in balances(order).items() if left} == {}


def test_a_refund_takes_at_most_thirty_statements_of_its_own(api, environment):
    order = stories.paid_order(environment, line(1_000), line(2_000), line(500))
    with stories.collecting(), CaptureQueriesContext(connection) as captured:
        assert api.post("/v1/refunds", {"order_id": order.id}).status_code == 201

    assert len(captured) <= 30
    assert RefundLeg.objects.count() == 1
    assert Order.objects.get(id=order.id).refund_pending_amount == 3_500
