"""What PostgreSQL refuses of payments, refunds, disputes and fees, whoever writes it, sums that stay right included."""

import pytest
from django.db import IntegrityError, connection, transaction

from flint.testing import stories
from flint.testing.books import assert_books, check_guard
from flint.testing.stories import actor_in, eur, line
from payments import services as payments
from payments.tests.test_balance import sync
from refunds.tests.disputing import dispute


@pytest.fixture
def order(environment):
    """Paid by two cards, refunded in part, disputed, with its fees told."""
    order = stories.open_order(environment, line(6_000, name="Bag"), line(4_000, name="Grinder"))
    actor = actor_in(environment)
    for amount, behavior in ((6_000, "allow_partial"), (4_000, "complete_order")):
        leg = payments.create_leg(order_id=order.id, data={"amount_money": eur(amount)}, actor=actor)
        chosen = {"payment_intent_id": leg.id, "token": "pm_card_visa"}
        data = {"action": "confirm_payment_intents", "completion_behavior": behavior, "payment_intents": [chosen]}
        payments.pay(order_id=order.id, data=data, actor=actor)
    stories.refund(order, amount_money=eur(1_000))
    dispute(order, 2_000)
    sync(environment)
    assert_books(order, paid=10_000, refunded=1_000, charged_back=2_000)
    return order


FROM_ONE_TO_THE_OTHER = "CASE WHEN amount = 6000 THEN -100 ELSE 100 END"
ANOTHER_PAYMENT = """(
    SELECT id FROM payments_paymentintent p WHERE p.order_id = g.order_id AND p.id <> g.payment_intent_id
)"""


@pytest.mark.parametrize(
    "statement, constraint",
    [
        (
            f"UPDATE payments_paymentintent SET captured_amount = captured_amount + {FROM_ONE_TO_THE_OTHER}",
            "each_leg_captured_is_its_operations",
        ),
        (
            f"UPDATE payments_paymentoperation SET captured_amount = captured_amount + {FROM_ONE_TO_THE_OTHER}",
            "each_leg_captured_is_its_operations",
        ),
        ("UPDATE payments_paymentintent SET currency = 'USD'", "each_leg_captured_is_its_operations"),
        ("UPDATE payments_paymentoperation SET currency = 'USD'", "each_leg_captured_is_its_operations"),
        (
            "UPDATE payments_paymentintent SET refunded_amount = 1000 - refunded_amount",
            "payments_refunded_are_their_legs",
        ),
        (
            f"UPDATE refunds_refundleg g SET payment_intent_id = {ANOTHER_PAYMENT}",
            "payments_refunded_are_their_legs",
        ),
        ("UPDATE refunds_refund SET amount = amount + 1", "refunds_are_their_legs"),
        ("UPDATE refunds_refundleg SET credit_amount = credit_amount - 1", "refund_legs_credit_their_allocations"),
        ("UPDATE refunds_refundleg SET currency = 'USD'", "refund_legs_credit_their_allocations"),
        (
            "UPDATE orders_lineitem SET refunded_amount = refunded_amount + CASE position WHEN 0 THEN 10 ELSE -10 END",
            "each_part_refunded_is_its_allocations",
        ),
        (
            "UPDATE payments_paymentintent SET charged_back_amount = 2000 - charged_back_amount",
            "payments_charged_back_are_their_disputes",
        ),
        (
            "UPDATE payments_paymentintent SET processing_fee_amount = NULL, merchant_net_amount = NULL, "
            "fee_currency = ''",
            "leg_shows_its_fee",
        ),
        ("UPDATE payments_paymentintent SET processing_fee_amount = 0", "leg_fee_is_its_movements"),
    ],
)
def test_no_amount_is_moved_by_hand_from_one_row_to_another(order, statement, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement)
        check_guard()
