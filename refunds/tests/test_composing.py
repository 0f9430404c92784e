"""
Composing refunds of every small cart in every sequence of pieces, without a database: it always ends at exactly zero.

What is under test is the composer itself. A sale is walked from one state to the next by every refund that can be asked
for; states that were seen before are not walked again, so every sequence is covered, and each step only once.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import combinations_with_replacement, count, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flint.errors import InvalidInput
from flint.money import Money, share
from orders.models import Charge, LineItem, Order, TaxBreakdown
from orders.services.pricing import Parts
from orders.splitting import Makeup
from payments.models import PaymentIntent, PaymentOperation
from refunds.models import RefundAdjustment
from refunds.services.composing.composer import Composer
from refunds.services.composing.pieces import TIP, Composition
from refunds.services.composing.remains import Remains, makeup_of_row

quick = settings(max_examples=150, deadline=None, database=None, derandomize=True)
NOW = datetime(2026, 9, 7, tzinfo=UTC)
NOTHING = Makeup()


@dataclass(frozen=True)
class Line:
    """So many units, and what they are made of altogether."""

    quantity: int
    makeup: Makeup


@dataclass(frozen=True)
class Sale:
    """What was sold and how it was paid."""

    lines: tuple[Line, ...]
    charge: Makeup = NOTHING
    tip: int = 0
    flat: int = 0
    payments: tuple[int, ...] = (1,)

    @property
    def total(self) -> int:
        return sum(each.makeup.total for each in self.lines) + self.charge.total + self.tip + self.flat

    @property
    def tenders(self) -> tuple[int, ...]:
        return tuple(share(self.total, self.payments))


@dataclass(frozen=True)
class State:
    """How far a sale has gone back: per part what is gone, per payment what it gave, and what is withheld."""

    gone: tuple[Makeup, ...]
    back: tuple[int, ...]
    units: tuple[int, ...]
    tip: int
    flat: int
    given: tuple[int, ...]
    withheld: tuple[tuple[int, Makeup], ...] = field(default=())


def start(sale: Sale) -> State:
    parts = len(sale.lines) + 1
    return State((NOTHING,) * parts, (0,) * parts, (0,) * len(sale.lines), 0, 0, (0,) * len(sale.payments))


class Known(Remains):
    """What is left of a sale in a state."""

    def __init__(self, sale: Sale, state: State):
        refunded = sum(state.given)
        self.order = Order(
            id="ord_1",
            currency="EUR",
            total_amount=sale.total,
            paid_amount=sale.total,
            refunded_amount=refunded,
            credit_amount=refunded,
            settled_tip_amount=sale.tip,
            tip_refunded_amount=state.tip,
            has_settled=True,
            settled_revision=1,
        )
        lines = [
            LineItem(id=f"oli_{i}", quantity=each.quantity, refunded_quantity=state.units[i], **priced(each.makeup))
            for i, each in enumerate(sale.lines)
        ]
        charge = Charge(id="och", applied_amount=sale.charge.subtotal, **priced(sale.charge, "charge"))
        charges = [charge] if sale.charge.total else []
        for part, back in zip([*lines, charge], state.back, strict=True):
            part.refunded_amount = back
        tax = TaxBreakdown(id="txb", calculation_type="flat_amount", tax_amount=sale.flat, refunded_amount=state.flat)
        self.parts = Parts(lines=lines, charges=charges, taxes=[tax] if sale.flat else [])
        self.surplus = 0
        self.open_claims = {}
        self._gone = dict(zip([*(line.id for line in lines), "och"], state.gone, strict=True))
        self.adjustments = {
            f"rad_{i}": RefundAdjustment(id=f"rad_{i}", line_item_id=f"oli_{line}")
            for i, (line, _) in enumerate(state.withheld)
        }
        self.withheld = {f"rad_{i}": left for i, (_, left) in enumerate(state.withheld)}
        self._tenders = [
            (PaymentOperation(id=f"op_{i}", payment_intent=PaymentIntent(id=f"pi_{i}", captured_at=NOW)), room - given)
            for i, (room, given) in enumerate(zip(sale.tenders, state.given, strict=True))
        ]

    def tenders(self, **_: Any) -> list[tuple[PaymentOperation, int]]:
        return list(self._tenders)


def priced(makeup: Makeup, kind: str = "line") -> dict[str, int]:
    columns = {
        "discount_amount": makeup.discount,
        "tax_amount": makeup.all_tax,
        "inclusive_tax_amount": makeup.inclusive,
        "total_amount": makeup.total,
        "refund_pending_amount": 0,
    }
    return columns | ({"subtotal_amount": makeup.subtotal} if kind == "line" else {})


def refund(sale: Sale, state: State, wish: dict[str, Any]) -> State:
    """Compose a refund, see that it is sound, and return the state after it."""
    remains = Known(sale, state)
    composition = Composer(remains.order, remains=remains).compose(wish)
    assert_sound(composition)
    return after(state, composition)


def assert_sound(composition: Composition) -> None:
    assert sum(leg.amount for leg in composition.legs) == composition.amount > 0
    assert sum(piece.amount for piece in composition.pieces) == composition.amount
    for leg in composition.legs:
        rows = [row for row in composition.allocations if row.leg is leg]
        assert sum(row.amount for row in rows) == leg.amount == leg.credit_amount
    for row in composition.allocations:
        if row.line_item_id or row.charge_id:
            made_of = makeup_of_row(row)
            assert made_of.total == row.amount
            assert min(made_of.subtotal, made_of.discount, made_of.tax, made_of.inclusive) >= 0


def after(state: State, composition: Composition) -> State:
    gone, back, units, given = (list(each) for each in (state.gone, state.back, state.units, state.given))
    withheld = list(state.withheld)
    for leg in composition.legs:
        given[int(leg.operation_id.removeprefix("op_"))] += leg.amount
    for row in composition.allocations:
        if row.tax_breakdown_id or not (row.line_item_id or row.charge_id):
            continue
        at = int(row.line_item_id.removeprefix("oli_")) if row.line_item_id else len(back) - 1
        back[at] += row.amount
        if row.adjustment_id:
            which = int(row.adjustment_id.removeprefix("rad_"))
            withheld[which] = (withheld[which][0], withheld[which][1] - makeup_of_row(row))
        else:
            gone[at] += makeup_of_row(row)
        if row.line_item_id:
            units[at] += row.quantity
    for row in composition.adjustments:
        at = int(row.line_item_id.removeprefix("oli_"))
        gone[at] += makeup_of_row(row)
        withheld.append((at, makeup_of_row(row)))
    return replace(
        state,
        gone=tuple(gone),
        back=tuple(back),
        units=tuple(units),
        given=tuple(given),
        withheld=tuple(withheld),
        tip=state.tip + composition.of(TIP),
        flat=state.flat + composition.of("txb"),
    )


def assert_within(sale: Sale, state: State) -> None:
    """Assert that nothing went back that was not there."""
    wholes = [*(each.makeup for each in sale.lines), sale.charge]
    held: dict[int, int] = defaultdict(int)
    for line, left in state.withheld:
        held[line] += left.total
        assert min(left.subtotal, left.discount, left.tax, left.inclusive, left.total) >= 0
    for at, (whole, gone, back) in enumerate(zip(wholes, state.gone, state.back, strict=True)):
        left = whole - gone
        assert min(left.subtotal, left.discount, left.tax, left.inclusive, left.total) >= 0
        assert left.total == whole.total - back - held[at]
    assert all(units <= line.quantity for units, line in zip(state.units, sale.lines, strict=True))
    assert all(given <= room for given, room in zip(state.given, sale.tenders, strict=True))
    assert state.tip <= sale.tip and state.flat <= sale.flat


def assert_all_gone(sale: Sale, state: State) -> None:
    """Assert that nothing is left of anything, to the unit, in price, discount and tax alike."""
    wholes = [*(each.makeup for each in sale.lines), sale.charge]
    assert list(state.gone) == [whole if whole.total else NOTHING for whole in wholes]
    assert list(state.back) == [whole.total for whole in wholes]
    assert list(state.given) == list(sale.tenders)
    assert (state.tip, state.flat) == (sale.tip, sale.flat)
    assert all(left == NOTHING for _, left in state.withheld)


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


def every_wish(sale: Sale, state: State) -> Iterator[dict[str, Any]]:
    """Every refund that could be asked for: units or an amount of a line, an amount of the charge or of all that is."""
    for i, each in enumerate(sale.lines):
        target = {"order_line_item_id": f"oli_{i}"}
        for units in range(1, each.quantity - state.units[i] + 1):
            yield {"line_items": [{**target, "quantity": units}]}
        for amount in range(1, each.makeup.total - state.back[i] + 1):
            yield {"line_items": [{**target, "amount_money": eur(amount)}]}
    for amount in range(1, sale.charge.total - state.back[-1] + 1):
        yield {"charges": [{"order_charge_id": "och", "amount_money": eur(amount)}]}
    if sale.flat > state.flat:
        yield {"tax_breakdown_refunds": [{"tax_breakdown_id": "txb"}]}
    for amount in range(1, sale.total - sum(state.given) + 1):
        yield {"amount_money": eur(amount)}


def plain(price: int, quantity: int) -> Line:
    return Line(quantity, Makeup(subtotal=price * quantity))


PLAIN = [plain(1, 1), plain(2, 1), plain(1, 2)]
MADE_UP = [
    Line(2, Makeup(subtotal=4, discount=1)),
    Line(2, Makeup(subtotal=2, tax=1)),
    Line(3, Makeup(subtotal=3, inclusive=1)),
    Line(1, Makeup(subtotal=3, discount=1, tax=1)),
]
EXTRAS = [
    {},
    {"charge": Makeup(subtotal=1, tax=1), "tip": 1},
    {"flat": 1, "payments": (2, 1)},
]
CARTS = [
    Sale(lines, **extra)
    for size in (1, 2, 3)
    for lines in combinations_with_replacement(PLAIN, size)
    for extra in (EXTRAS if size < 3 else EXTRAS[:1])
] + [Sale((each, *more), **extra) for each, more, extra in product(MADE_UP, [(), (plain(1, 1),)], EXTRAS)]


@pytest.mark.parametrize("share_of_the_carts", range(4))
def test_every_small_cart_in_every_sequence_of_pieces_ends_at_zero(share_of_the_carts):
    walked = count()
    for sale in CARTS[share_of_the_carts::4]:
        seen, open_states = set(), [start(sale)]
        while open_states:
            state = open_states.pop()
            if sum(state.given) == sale.total:
                assert_all_gone(sale, state)
                continue
            for wish in every_wish(sale, state):
                try:
                    following = refund(sale, state, wish)
                except InvalidInput as refusal:
                    # A unit that carries none of the line's cents cannot go back by itself.
                    assert refusal.code == "NOTHING_TO_REFUND_FOR_LINE_ITEM"
                    continue
                next(walked)
                assert_within(sale, following)
                if following not in seen:
                    seen.add(following)
                    open_states.append(following)
    assert next(walked) > 1_000


# Larger than that, with parts withheld and paid out later


@st.composite
def makeups(draw, most: int = 5_000) -> Makeup:
    subtotal = draw(st.integers(1, most))
    discount = draw(st.sampled_from([0, draw(st.integers(0, subtotal - 1))]))
    net = subtotal - discount
    tax, inclusive = draw(st.sampled_from([(0, 0), (draw(st.integers(0, net)), 0), (0, draw(st.integers(0, net)))]))
    return Makeup(subtotal, discount, tax, inclusive)


sales = st.builds(
    Sale,
    lines=st.lists(st.builds(Line, st.integers(1, 6), makeups()), min_size=1, max_size=5).map(tuple),
    charge=st.sampled_from([NOTHING, Makeup(subtotal=301, discount=3, tax=57)]),
    tip=st.sampled_from([0, 1, 97]),
    flat=st.sampled_from([0, 27]),
    payments=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
)


def some_wish(draw: Any, sale: Sale, state: State) -> dict[str, Any]:
    left = sale.total - sum(state.given)
    line = draw(st.integers(0, len(sale.lines) - 1))
    target: dict[str, Any] = {"order_line_item_id": f"oli_{line}"}
    kind = draw(st.sampled_from(["units", "line", "fee", "payout", "amount"]))
    if kind == "amount":
        return {"amount_money": eur(draw(st.integers(1, left)))}
    if kind == "payout":
        mine = [i for i, (of, rest) in enumerate(state.withheld) if of == line and rest.total]
        if mine:
            which = draw(st.sampled_from(mine))
            most = state.withheld[which][1].total
            paid = {"refund_line_item_adjustment_id": f"rad_{which}", "amount_money": eur(draw(st.integers(1, most)))}
            return {"line_items": [{**target, "adjustment_refunds": [paid]}]}
    if kind == "fee":
        fee = {
            "adjustment_type": "restocking_fee",
            "applies_to": draw(st.sampled_from(["subtotal", "total"])),
            "amount_money": eur(draw(st.integers(1, 200))),
            "reason": {"code": "restocking"},
        }
        target["refund_adjustments"] = [fee]
    if kind == "line":
        target["amount_money"] = eur(draw(st.integers(1, sale.lines[line].makeup.total)))
    else:
        target["quantity"] = draw(st.integers(1, sale.lines[line].quantity))
    return {"line_items": [target]}


REFUSED = {
    "NOTHING_TO_REFUND_FOR_LINE_ITEM",
    "LINE_ITEM_REFUND_QUANTITY_EXCEEDS_REFUNDABLE",
    "LINE_ITEM_REFUND_AMOUNT_EXCEEDS_REFUNDABLE",
    "REFUND_ADJUSTMENTS_EXCEED_AUTOMATIC",
}


@quick
@given(sales, st.data())
def test_any_cart_in_any_pieces_with_parts_withheld_ends_at_zero(sale, data):
    state = start(sale)
    for _ in range(data.draw(st.integers(0, 8))):
        if sum(state.given) == sale.total:
            break
        try:
            state = refund(sale, state, some_wish(data.draw, sale, state))
        except InvalidInput as refusal:
            assert refusal.code in REFUSED
        assert_within(sale, state)
    if sum(state.given) < sale.total:
        state = refund(sale, state, {})
    assert_all_gone(sale, state)
