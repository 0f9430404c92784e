"""
Refunding any cart in any pieces: whatever succeeds, is refused, bounces and is tried again, it ends at exactly zero.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flint.errors import FlintError
from flint.money import Money, share
from flint.testing import stories
from flint.testing.books import assert_books, balances
from flint.testing.stories import actor_in
from orders.models import Order
from orders.services import add_charge
from payments import services as payments
from payments.processors.sandbox import faults, network
from payments.processors.sandbox.models import SandboxPayment, SandboxRefund
from payments.tests.acts import at_processor
from refunds import services
from refunds.models import RefundAllocation

CARTS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
AUSTRIA = {"name": "Austria", "country": "AT"}


@dataclass(frozen=True)
class Tax:
    """Percentages on a line or charge, inside its price or on top."""

    mode: str
    percents: tuple[int, ...]

    def wire(self) -> dict[str, Any]:
        components = [{"tax_type": "vat", "percent": percent, "jurisdiction": AUSTRIA} for percent in self.percents]
        return {"calculation": {"mode": "external", "price_mode": self.mode, "components": components}}


@dataclass(frozen=True)
class Cart:
    """What an order is made of, and how it is paid."""

    currency: str
    lines: list[tuple[int, int, Tax | None]]
    charges: list[tuple[int, Tax | None]] = field(default_factory=list)
    percent_charge: int = 0
    discounts: list[int] = field(default_factory=list)
    tip: int = 0
    flat_tax: int = 0
    payments: list[int] = field(default_factory=lambda: [1])
    is_paid_in_full: bool = True

    def money(self, amount: int) -> Money:
        return Money(amount, self.currency)


percents = st.lists(st.integers(1, 300_000), min_size=1, max_size=2).map(tuple)
taxes = st.none() | st.builds(Tax, st.sampled_from(["inclusive", "additive"]), percents)
carts = st.builds(
    Cart,
    currency=st.sampled_from(["JPY", "EUR", "KWD"]),
    lines=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 4), taxes), min_size=1, max_size=3),
    charges=st.lists(st.tuples(st.integers(0, 500), taxes), max_size=1),
    percent_charge=st.sampled_from([0, 0, 33_333, 100_000]),
    discounts=st.lists(st.integers(1, 2_000), max_size=2),
    tip=st.sampled_from([0, 0, 1, 97]),
    flat_tax=st.sampled_from([0, 0, 27]),
    payments=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    is_paid_in_full=st.sampled_from([True, True, True, False]),
)


@dataclass(frozen=True)
class Piece:
    """One wish to refund: of what, how much of what is left (in hundredths), and what becomes of it."""

    of: str
    index: int
    hundredths: int
    outcome: str


pieces = st.lists(
    st.builds(
        Piece,
        of=st.sampled_from(["units", "line", "charge", "amount", "payment", "line and more"]),
        index=st.integers(0, 3),
        hundredths=st.integers(1, 100),
        outcome=st.sampled_from(["done", "done", "refused", "bounced"]),
    ),
    max_size=6,
)


def sell(environment, cart: Cart) -> Order:
    """Create the order and pay it."""
    data: dict[str, Any] = {
        "line_items": [
            stories.line(price, currency=cart.currency, quantity=quantity, **({"tax": tax.wire()} if tax else {}))
            for price, quantity, tax in cart.lines
        ],
        "discounts": [{"manual": {"name": "Off", "amount_money": cart.money(amount)}} for amount in cart.discounts],
    }
    if cart.tip:
        data["requested_tip"] = {"amount_money": cart.money(cart.tip)}
    if cart.flat_tax:
        flat = {"flat_money": cart.money(cart.flat_tax), "jurisdiction": AUSTRIA}
        data["tax"] = {"calculation": {"mode": "external", "components": [flat]}}
    try:
        order = stories.open_order(environment, *data.pop("line_items"), **data)
    except FlintError:
        # A discount with nothing to lower, or a tip above what the merchandise allows.
        assume(False)
    actor = actor_in(environment)
    for amount, tax in cart.charges:
        fee = {"name": "Fee", "type": "service_fee", "amount_money": cart.money(amount)}
        order = add_charge(order_id=order.id, charge=fee | ({"tax": tax.wire()} if tax else {}), actor=actor)
    if cart.percent_charge:
        fee = {"name": "Service", "type": "service_fee", "percent": cart.percent_charge}
        fee["calculation_basis"] = "subtotal_post_discount"
        order = add_charge(order_id=order.id, charge=fee, actor=actor)
    assume(order.total_amount > len(cart.payments))
    amounts = [amount for amount in share(order.total_amount, cart.payments) if amount]
    if not cart.is_paid_in_full:
        amounts[-1] = max(amounts[-1] // 2, 1)
    for amount in amounts:
        leg = payments.create_leg(order_id=order.id, data={"amount_money": cart.money(amount)}, actor=actor)
        chosen = [{"payment_intent_id": leg.id, "token": "pm_card_visa"}]
        wanted = {"action": "confirm_payment_intents", "payment_intents": chosen}
        order = payments.pay(
            order_id=order.id, data=wanted | {"completion_behavior": "partial_payment"}, actor=actor
        ).order
    return order


def wish(order: Order, piece: Piece) -> dict[str, Any] | None:
    """Describe the piece as a request does, of what is left now; None when nothing of the kind is."""

    def some(left: int) -> int:
        return max(left * piece.hundredths // 100, 1)

    lines = [row for row in order.line_items.order_by("position") if row.remaining_amount]
    charges = [row for row in order.charges.order_by("position") if row.remaining_amount]
    legs = [leg for leg in order.payment_intents.order_by("id") if leg.refundable_amount]
    line = lines[piece.index % len(lines)] if lines else None
    match piece.of:
        case "units" if line and line.remaining_quantity:
            units = some(line.remaining_quantity)
            return {"line_items": [{"order_line_item_id": line.id, "quantity": units}]}
        case "line" if line:
            amount = order.money(some(line.remaining_amount))
            return {"line_items": [{"order_line_item_id": line.id, "amount_money": amount}]}
        case "charge" if charges:
            charge = charges[piece.index % len(charges)]
            amount = order.money(some(charge.remaining_amount))
            return {"charges": [{"order_charge_id": charge.id, "amount_money": amount}]}
        case "payment":
            leg = legs[piece.index % len(legs)]
            return {"payment_intent_id": leg.id, "amount_money": order.money(some(leg.refundable_amount))}
        case "line and more" if line and line.remaining_amount < order.refundable_amount:
            amount = line.remaining_amount + some(order.refundable_amount - line.remaining_amount)
            return {"line_items": [{"order_line_item_id": line.id}], "amount_money": order.money(amount)}
        case "amount":
            return {"amount_money": order.money(some(order.refundable_amount))}
    return None


def give_back(order: Order, piece: Piece) -> None:
    """Refund a piece, and let its outcome happen."""
    order.refresh_from_db()
    if not order.refundable_amount or (data := wish(order, piece)) is None:
        return
    if piece.outcome == "refused":
        faults.plan(order.environment_id, on="refund", fault="refuse")
    try:
        made = stories.refund(order, **data)
    except FlintError as refusal:
        # A line may be worth more than was paid of the order, and a unit may be worth nothing.
        assert refusal.code in ("AMOUNT_EXCEEDS_REFUNDABLE", "NOTHING_TO_REFUND_FOR_LINE_ITEM")
        made = None
    faults.clear(order.environment_id)
    if made and piece.outcome == "bounced":
        for leg in made.legs.filter(status="succeeded"):
            bounce(leg.reference)
            services.ask_about_refund(leg.id, actor=actor_in(order.environment))
    assert_books(order)


def bounce(reference: str) -> None:
    """Have a refund come back to the processor."""
    with transaction.atomic():
        refund = SandboxRefund.objects.get(reference=reference)
        payment = SandboxPayment.objects.select_for_update().get(reference=refund.payment_id)
        network.fail_refund(payment, refund, reason="declined", at=timezone.now())


def give_back_the_rest(order: Order) -> None:
    order.refresh_from_db()
    if order.refundable_amount:
        stories.refund(order)


def assert_all_went_back(order: Order) -> None:
    """Assert that nothing is left anywhere: not on the order, its parts, its payments, nor in any account."""
    paid = order.paid_amount
    order = assert_books(order, paid=paid, refunded=paid, refund_pending=0, refund_status="refunded")
    assert (order.refundable_amount, at_processor(order).net) == (0, 0)
    assert sum(effect.amount for effect in at_processor(order).charges) == paid
    assert all(leg.refundable_amount == 0 for leg in order.payment_intents.all())


def assert_parts_went_back(order: Order) -> None:
    """Assert that each part of a fully paid order went back to the unit, in price, discount and tax alike."""
    assert (order.credit_amount, order.balance_amount) == (order.total_amount, 0)
    assert order.tip_refunded_amount == order.settled_tip_amount == order.tip_amount
    accounts = balances(order)
    assert {accounts.get(name, 0) for name in ("sales", "charges", "tips_payable", "tax_payable", "processor")} == {0}
    # A part whose discounts made it worth nothing has nothing that could go back.
    for row in (row for row in [*order.line_items.all(), *order.charges.all()] if row.total_amount):
        key = {f"{'line_item' if hasattr(row, 'quantity') else 'charge'}_id": row.id}
        went_back = RefundAllocation.objects.filter(leg__status="succeeded", **key)
        gross = row.subtotal_amount if hasattr(row, "quantity") else row.applied_amount
        columns = ("amount", "subtotal_amount", "discount_amount", "tax_amount", "inclusive_tax_amount")
        found = tuple(sum(getattr(part, column) for part in went_back) for column in columns)
        tax_on_top = row.tax_amount - row.inclusive_tax_amount
        assert found == (row.total_amount, gross, row.discount_amount, tax_on_top, row.inclusive_tax_amount)
        assert (row.refunded_amount, row.refund_pending_amount) == (row.total_amount, 0)
    flat_taxes = order.tax_breakdowns.filter(line_item=None, charge=None)
    assert all(tax.refunded_amount == tax.tax_amount for tax in flat_taxes)


@CARTS
@given(cart=carts, wanted=pieces)
def test_any_cart_in_any_pieces_ends_at_zero(environment, cart, wanted):
    with undone_if_it_fails():
        order = sell(environment, cart)

        for piece in wanted:
            give_back(order, piece)
        give_back_the_rest(order)

        order.refresh_from_db()
        assert_all_went_back(order)
        if cart.is_paid_in_full:
            assert_parts_went_back(order)
        with pytest.raises(FlintError, match="NOTHING_TO_REFUND"):
            stories.refund(order)


@contextmanager
def undone_if_it_fails() -> Iterator[None]:
    """Leave the transaction usable for the next example when the database itself refused something."""
    here = transaction.savepoint()
    try:
        yield
    except BaseException:
        transaction.set_rollback(False)
        transaction.savepoint_rollback(here)
        raise


SMALL = [
    Cart("EUR", [(price, quantity, tax), (1, 1, None)], discounts=[discount] if discount else [])
    for price, quantity, discount, tax in itertools.product(
        (1, 2), (1, 3), (0, 1, 2), (None, Tax("inclusive", (200_000,)), Tax("additive", (500_000,)))
    )
]


@pytest.mark.parametrize("by", ["units", "cents"])
def test_every_small_cart_goes_back_step_by_step(environment, by):
    for cart in SMALL:
        order = stories_order(environment, cart)
        if order is None:
            continue
        if by == "units":
            for index in (0, 1):
                while (row := order.line_items.order_by("position")[index]).remaining_quantity:
                    target = [{"order_line_item_id": row.id, "quantity": 1}]
                    try:
                        stories.refund(order, line_items=target)
                    except FlintError as refusal:
                        # A unit that carries none of the line's cents cannot go back by itself.
                        assert refusal.code == "NOTHING_TO_REFUND_FOR_LINE_ITEM"
                        break
        else:
            for _ in range(order.paid_amount - 1):
                stories.refund(order, amount_money=cart.money(1))
        give_back_the_rest(order)
        order.refresh_from_db()
        assert_all_went_back(order)
        assert_parts_went_back(order)


def stories_order(environment, cart: Cart) -> Order | None:
    """Sell a small cart, or nothing if it is worth nothing."""
    worth = sum(price * quantity for price, quantity, _ in cart.lines) - sum(cart.discounts)
    return sell(environment, cart) if worth > 1 else None
