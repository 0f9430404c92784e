"""Refunds by flat tax, by tender, with tax that is stated, and with parts withheld: every cap, and every refusal."""

import pytest

from flint.celery import collecting
from flint.merchants.scopes import CATALOGUE
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.fixtures import client_of
from flint.testing.stories import actor_in, eur, line, settled, wire
from orders.services import add_charge
from payments.tests.acts import at_processor, confirm, later, nothing_moves, stage
from payments.tests.test_standalone_intents import confirm as confirm_standalone
from payments.tests.test_standalone_intents import create
from refunds.models import RefundAllocation

AUSTRIA = {"name": "Austria", "country": "AT"}
REASON = {"code": "restocking"}
AUDIT = {"actor_type": "user", "actor_id": "usr_7", "source": "back office"}
STRANGE = "01J9Z6W2V7Q0M3T8K4B5N6P7R8"


def vat(mode: str = "additive", percent: int = 200_000) -> dict:
    component = {"tax_type": "vat", "percent": percent, "jurisdiction": AUSTRIA}
    return {"calculation": {"mode": "external", "price_mode": mode, "components": [component]}}


@pytest.fixture
def cart(environment):
    """A paid order of 79.27: three bags with 20 % on top, two cakes with tax inside, post, a flat tax."""
    flat = {"flat_money": eur(27), "jurisdiction": AUSTRIA}
    order = stories.open_order(
        environment,
        line(1_000, quantity=3, name="Bag", tax=vat()),
        line(2_000, quantity=2, name="Cake", tax=vat("inclusive")),
        tax={"calculation": {"mode": "external", "components": [flat]}},
    )
    post = {"name": "Post", "type": "shipping_fee", "amount_money": eur(300)}
    order = add_charge(order_id=order.id, charge=post, actor=actor_in(environment))
    order = stories.pay(order).order
    assert_books(order, total=7_927, paid=7_927)
    return order


@pytest.fixture
def bag(cart):
    return cart.line_items.get(name="Bag")


@pytest.fixture
def cake(cart):
    return cart.line_items.get(name="Cake")


def refund(api, order=None, **data):
    body = {"order_id": order.id, **data} if order else data
    with settled():
        return api.post("/v1/refunds", body)


def of_line(row, **data):
    return {"order_line_item_id": row.id, **data}


def amount(cents: int):
    return wire(eur(cents))


def tax_of(order, row=None):
    return order.tax_breakdowns.get(line_item=row, charge=None)


def explicit(row, tax: int, **data):
    breakdown = row.tax_breakdowns.get()
    split = [{"tax_breakdown_id": breakdown.id, "tax_money": amount(tax)}] if tax else None
    target = of_line(
        row,
        tax_refund_mode="explicit",
        tax_money=amount(tax),
        tax_adjustment_reason={"code": "rate_correction"},
        tax_adjustment_audit=AUDIT,
        **data,
    )
    return {**target, **({"tax_breakdown_refunds": split} if split else {})}


class TestFlatTax:
    """It goes back as a whole or not at all, and counts as tax."""

    def test_a_flat_tax_goes_back_by_name(self, api, cart):
        made = refund(api, cart, tax_breakdown_refunds=[{"tax_breakdown_id": tax_of(cart).id}])

        assert made.data["tax_breakdown_refunds"] == [{"tax_breakdown_id": tax_of(cart).id, "tax_money": amount(27)}]
        assert tax_of(cart).refunded_amount == 27
        assert cart.entries.get(kind="credit_tax").amount == 27
        assert_books(cart, refunded=27, credit=27, balance=0)

    def test_refusals(self, api, cart, bag):
        flat = {"tax_breakdown_id": tax_of(cart).id}
        with nothing_moves(cart):
            for rows, code in (
                ([{}], "TAX_BREAKDOWN_ID_REQUIRED"),
                ([{**flat, "tax_money": amount(0)}], "INVALID_TAX_BREAKDOWN_REFUND_AMOUNT"),
                ([{**flat, "tax_money": amount(26)}], "FLAT_TAX_REFUND_MUST_BE_FULL"),
                ([{**flat, "tax_money": amount(28)}], "TAX_BREAKDOWN_REFUND_EXCEEDS_REMAINING"),
                ([flat, flat], "DUPLICATE_TAX_BREAKDOWN_REFUND"),
                ([{"tax_breakdown_id": tax_of(cart, bag).id}], "TAX_BREAKDOWN_NOT_ORDER_SCOPED_FLAT"),
                ([{"tax_breakdown_id": f"txb_{STRANGE}"}], "TAX_BREAKDOWN_UNAVAILABLE"),
            ):
                assert refund(api, cart, tax_breakdown_refunds=rows).code == code
            mixed = {"tax_breakdown_refunds": [flat], "line_items": [of_line(bag)]}
            assert refund(api, cart, **mixed).code == "AMOUNT_REQUIRED_FOR_MIXED_REFUND_TARGETS"
            little = refund(api, cart, tax_breakdown_refunds=[flat], amount_money=amount(26))
            assert little.code == "TAX_BREAKDOWN_TARGETS_EXCEED_REFUND_AMOUNT"
        with collecting():
            api.post("/v1/refunds", {"order_id": cart.id, "tax_breakdown_refunds": [flat]})
        with nothing_moves(cart):
            assert refund(api, cart, tax_breakdown_refunds=[flat]).code == "FLAT_TAX_REFUND_STATE_INVALID"
        with settled():
            stories.sweep(at=later(minutes=1))
        with nothing_moves(cart):
            gone = refund(api, cart, tax_breakdown_refunds=[flat])
            assert gone.code == "NOTHING_TO_REFUND_FOR_TAX_BREAKDOWN"


class TestTenders:
    """A split over the payments is the whole refund, and each payment gives at most what it has."""

    @pytest.fixture
    def paid_twice(self, api, environment):
        order = stories.open_order(environment)
        first, second = stage(api, order, 6_000), stage(api, order, 4_000)
        confirm(api, order, first, completion_behavior="partial_payment")
        confirm(api, order, second)
        return order, first, second

    def of(self, intent: str, cents: int) -> dict:
        return {"tender_type": "payment_intent", "payment_intent_id": intent, "amount_money": amount(cents)}

    def test_it_goes_back_as_it_was_divided(self, api, paid_twice):
        order, first, second = paid_twice

        made = refund(api, tender_allocations=[self.of(first, 2_500), self.of(second, 500)])

        shown = api.get(f"/v1/refunds/{made.data['refund_id']}").data
        rows = [(row["payment_intent_id"], row["amount_money"], row["status"]) for row in shown["tender_allocations"]]
        assert rows == [(first, amount(2_500), "succeeded"), (second, amount(500), "succeeded")]
        assert sorted(effect.amount for effect in at_processor(order).refunds) == [500, 2_500]
        assert_books(order, refunded=3_000, credit=3_000, balance=0)

    def test_a_line_goes_back_through_the_payments_that_are_named(self, api, paid_twice):
        order, first, _ = paid_twice
        row = order.line_items.get()

        target = of_line(row, amount_money=amount(1_000))
        refund(api, order, line_items=[target], tender_allocations=[self.of(first, 1_000)])

        assert RefundAllocation.objects.get().leg.payment_intent_id == first
        row.refresh_from_db()
        assert row.refunded_amount == 1_000

    def test_refusals(self, api, environment, paid_twice):
        order, first, second = paid_twice
        unpaid = stage(api, stories.open_order(environment))
        elsewhere = stories.paid_order(environment).payment_intents.get().id
        row = order.line_items.get()
        gift = {"tender_type": "gift_card_redemption", "amount_money": amount(1)}
        with nothing_moves(order):
            for rows, more, code in (
                ([self.of(first, 6_001)], {}, "REFUND_TENDER_CAPACITY_CONFLICT"),
                ([self.of(first, 100)], {"amount_money": amount(101)}, "REFUND_AMOUNT_NOT_ALLOCATED"),
                ([self.of(first, 100)], {"line_items": [of_line(row)]}, "REFUND_TARGETS_NOT_ALLOCATED"),
                ([self.of(first, 1), self.of(first, 1)], {}, "INVALID_REFUND_TENDER_ALLOCATION"),
                ([self.of(first, 1)], {"payment_intent_id": second}, "INVALID_REFUND_TENDER_ALLOCATION"),
                ([self.of(elsewhere, 1)], {}, "PAYMENT_INTENT_NOT_PART_OF_ORDER"),
                ([self.of(unpaid, 1)], {}, "PAYMENT_INTENT_NOT_PART_OF_ORDER"),
                ([self.of(f"pi_{STRANGE}", 1)], {}, "REFUND_TENDER_NOT_FOUND"),
                ([self.of(first, 0)], {}, "INVALID_REFUND_TENDER_ALLOCATION"),
                (
                    [without(self.of(first, 1), "payment_intent_id")],
                    {},
                    "INVALID_REFUND_TENDER_ALLOCATION",
                ),
                ([{"tender_type": "cash", "amount_money": amount(1)}], {}, "INVALID_REFUND_TENDER_ALLOCATION"),
                ([{**self.of(first, 1), "destination": "original"}], {}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
                ([gift], {}, "RESERVED_FIELD_NOT_YET_SUPPORTED"),
            ):
                assert refund(api, order, tender_allocations=rows, **more).code == code, rows
            assert refund(api, tender_allocations=[self.of(f"pi_{STRANGE}", 1)]).code == "REFUND_TENDER_NOT_FOUND"
            load = refund(api, order, gift_card_load_id=f"gcl_{STRANGE}")
            assert load.code == "RESERVED_FIELD_NOT_YET_SUPPORTED"

    def test_a_payment_that_was_never_taken_gives_nothing(self, api, environment):
        order = stories.paid_order(environment, total=1_000)
        add_charge(
            order_id=order.id,
            charge={"name": "Post", "type": "shipping_fee", "amount_money": eur(300)},
            actor=actor_in(environment),
        )
        waiting = stage(api, order)

        with nothing_moves(order):
            refused = refund(api, order, tender_allocations=[self.of(waiting, 1)])
        assert refused.code == "PAYMENT_INTENT_NOT_REFUNDABLE"


class TestWithheld:
    """A restocking fee stays here; what was withheld can go back later, and never more than that."""

    def fee(self, cents: int, **data) -> dict:
        return {
            "adjustment_type": "restocking_fee",
            "applies_to": "subtotal",
            "amount_money": amount(cents),
            "reason": REASON,
            **data,
        }

    def test_a_fee_lowers_what_goes_back_of_a_line(self, api, cart, bag):
        made = refund(api, cart, line_items=[of_line(bag, quantity=1, refund_adjustments=[self.fee(150)])])

        (row,) = made.data["line_item_allocations"]
        assert (row["quantity"], row["refunded_money"]) == (1, amount(1_050))
        assert row["automatic_refund"]["total_money"] == amount(1_200)
        assert row["automatic_refund"]["tax_money"] == amount(200)
        (fee,) = row["adjustments"]
        assert (fee["amount_money"], fee["refunded_money"], fee["remaining_money"]) == (
            amount(150),
            amount(0),
            amount(150),
        )
        bag.refresh_from_db()
        assert (bag.refunded_amount, bag.refunded_quantity) == (1_050, 1)
        assert cart.entries.get(kind="credit_tax").amount == 200
        assert_books(cart, refunded=1_050, credit=1_050, balance=0)

    def test_it_is_paid_out_later_and_then_nothing_is_left(self, api, cart, bag):
        made = refund(api, cart, line_items=[of_line(bag, quantity=3, refund_adjustments=[self.fee(600)])])
        fee_id = made.data["line_item_allocations"][0]["adjustments"][0]["refund_line_item_adjustment_id"]

        def pay_out(**data):
            target = {"refund_line_item_adjustment_id": fee_id, **data}
            return refund(api, cart, line_items=[of_line(bag, adjustment_refunds=[target])])

        first = pay_out(amount_money=amount(200))
        (row,) = first.data["line_item_allocations"]
        assert (row["quantity"], row["refunded_money"]) == (0, amount(200))
        assert row["automatic_refund"]["total_money"] == amount(0)
        assert row["adjustment_refunds"][0]["original_refund_line_item_adjustment_id"] == fee_id
        shown = api.get(f"/v1/refunds/{made.data['refund_id']}").data["line_item_allocations"][0]["adjustments"][0]
        assert (shown["refunded_money"], shown["remaining_money"]) == (amount(200), amount(400))
        with nothing_moves(cart):
            more = pay_out(amount_money=amount(401))
            assert more.code == "REFUND_ADJUSTMENT_REFUND_EXCEEDS_REMAINING"
        assert pay_out().data["amount_money"] == amount(400)
        with nothing_moves(cart):
            assert pay_out().code == "REFUND_ADJUSTMENT_REFUND_EXCEEDS_REMAINING"
            assert refund(api, cart, line_items=[of_line(bag)]).code == "NOTHING_TO_REFUND_FOR_LINE_ITEM"
        refund(api, cart)
        assert_books(cart, refunded=7_927, credit=7_927, balance=0, refund_status="refunded")

    def test_what_is_withheld_goes_back_last_of_what_nobody_named(self, api, cart, bag):
        refund(api, cart, line_items=[of_line(bag, refund_adjustments=[self.fee(600)])])
        rest = 7_927 - 3_000

        refund(api, cart, amount_money=amount(rest - 600))
        assert not RefundAllocation.objects.filter(adjustment__isnull=False).exists()
        refund(api, cart)

        assert RefundAllocation.objects.get(adjustment__isnull=False).amount == 600
        assert_books(cart, refunded=7_927, credit=7_927, balance=0, refund_status="refunded")

    def test_the_units_that_are_left_are_worth_no_more_for_it(self, api, cart, bag):
        refund(api, cart, line_items=[of_line(bag, quantity=1, refund_adjustments=[self.fee(600)])])

        made = refund(api, cart, line_items=[of_line(bag, quantity=2)])

        assert made.data["amount_money"] == amount(2_400)

    def test_a_part_of_the_whole_takes_its_tax_along(self, api, cart, cake):
        withheld = self.fee(600, adjustment_type="withheld_amount", applies_to="total")

        made = refund(api, cart, line_items=[of_line(cake, quantity=1, refund_adjustments=[withheld])])

        assert made.data["amount_money"] == amount(1_400)
        assert cart.entries.get(kind="credit_tax").amount == 234

    def test_refusals(self, api, cart, bag, cake):
        with nothing_moves(cart):
            for fee, code in (
                (self.fee(1_001), "REFUND_ADJUSTMENTS_EXCEED_AUTOMATIC"),
                (self.fee(1_200, applies_to="total"), "REFUND_ADJUSTMENTS_EXCEED_AUTOMATIC"),
                (self.fee(0), "INVALID_REFUND_ADJUSTMENT_AMOUNT"),
                (self.fee(1, adjustment_type="gift"), "INVALID_REFUND_ADJUSTMENT_TYPE"),
                (self.fee(1, adjustment_type="tax_adjustment"), "TAX_ADJUSTMENT_REQUIRES_EXPLICIT_MODE"),
                (self.fee(1, applies_to="moon"), "INVALID_REFUND_ADJUSTMENT_APPLIES_TO"),
                (self.fee(1, applies_to="tax"), "INVALID_REFUND_ADJUSTMENT_APPLIES_TO"),
                (self.fee(1, reason={"code": "because"}), "INVALID_REFUND_ADJUSTMENT_REASON_CODE"),
                (self.fee(1, reason={}), "REFUND_ADJUSTMENT_REASON_REQUIRED"),
                (self.fee(1, reason={"code": "other"}), "REFUND_ADJUSTMENT_REASON_DESCRIPTION_REQUIRED"),
                (
                    self.fee(1, reason={**REASON, "description": "x" * 501}),
                    "REFUND_ADJUSTMENT_REASON_DESCRIPTION_TOO_LONG",
                ),
                (without(self.fee(1), "amount_money"), "REFUND_ADJUSTMENT_AMOUNT_MONEY_REQUIRED"),
                (without(self.fee(1), "reason"), "REFUND_ADJUSTMENT_REASON_REQUIRED"),
            ):
                target = of_line(bag, quantity=1, refund_adjustments=[fee])
                assert refund(api, cart, line_items=[target]).code == code, fee
        made = refund(api, cart, line_items=[of_line(bag, quantity=1, refund_adjustments=[self.fee(100)])])
        fee_id = made.data["line_item_allocations"][0]["adjustments"][0]["refund_line_item_adjustment_id"]
        of_fee = {"refund_line_item_adjustment_id": fee_id}
        with nothing_moves(cart):
            for row, targets, more, code in (
                (bag, [{}], {}, "REFUND_LINE_ITEM_ADJUSTMENT_ID_REQUIRED"),
                (bag, [{**of_fee, "amount_money": amount(0)}], {}, "INVALID_REFUND_ADJUSTMENT_REFUND_AMOUNT"),
                (bag, [of_fee, of_fee], {}, "INVALID_REFUND_ADJUSTMENT_REFUND_AMOUNT"),
                (bag, [{"refund_line_item_adjustment_id": f"rad_{STRANGE}"}], {}, "REFUND_ADJUSTMENT_NOT_FOUND"),
                (cake, [of_fee], {}, "REFUND_ADJUSTMENT_LINE_ITEM_MISMATCH"),
                (bag, [of_fee], {"refund_adjustments": [self.fee(1)]}, "INVALID_REFUND_ADJUSTMENT_TARGET"),
            ):
                target = of_line(row, adjustment_refunds=targets, **more)
                assert refund(api, cart, line_items=[target]).code == code, targets


def without(body: dict, name: str) -> dict:
    return {key: value for key, value in body.items() if key != name}


class TestStatedTax:
    """Tax that somebody states is less than would go back by itself, split by tax, and answered for."""

    def test_less_tax_goes_back(self, api, cart, bag):
        made = refund(api, cart, line_items=[explicit(bag, 50, quantity=1)])

        (row,) = made.data["line_item_allocations"]
        assert (row["tax_refund_mode"], row["refunded_money"]) == ("explicit", amount(1_050))
        assert row["automatic_refund"]["tax_money"] == amount(200)
        assert row["tax_breakdown_refunds"] == [{"tax_breakdown_id": tax_of(cart, bag).id, "tax_money": amount(50)}]
        assert row["adjustments"][0]["adjustment_type"] == "tax_adjustment"
        assert cart.entries.get(kind="credit_tax").amount == 50
        assert cart.entries.get(kind="credit_goods").amount == 1_000
        refund(api, cart)
        assert_books(cart, refunded=7_927, credit=7_927, balance=0, refund_status="refunded")

    def test_no_tax_at_all_of_a_price_that_includes_it(self, api, cart, cake):
        made = refund(api, cart, line_items=[explicit(cake, 0, quantity=1)])

        assert made.data["amount_money"] == amount(1_667)
        assert not cart.entries.filter(kind="credit_tax").exists()

    def test_it_needs_a_scope_of_its_own(self, environment, cart, bag):
        clerk = client_of(environment, scopes=sorted(CATALOGUE - {"commerce.refunds.tax_overrides.write"}))

        with nothing_moves(cart):
            refused = refund(clerk, cart, line_items=[explicit(bag, 50, quantity=1)])
        assert (refused.status_code, refused.code) == (403, "INSUFFICIENT_SCOPE")
        assert refund(clerk, cart, line_items=[of_line(bag, quantity=1)]).status_code == 201

    def test_refusals(self, api, cart, bag, cake):
        stated = explicit(bag, 50, quantity=1)
        of_cake = [{"tax_breakdown_id": tax_of(cart, cake).id, "tax_money": amount(50)}]
        strange = [{"tax_breakdown_id": f"txb_{STRANGE}", "tax_money": amount(50)}]
        twice = [{"tax_breakdown_id": tax_of(cart, bag).id, "tax_money": amount(25)}] * 2
        with nothing_moves(cart):
            for target, code in (
                ({**stated, "tax_refund_mode": "by hand"}, "INVALID_TAX_REFUND_MODE"),
                (of_line(bag, tax_money=amount(1)), "TAX_MONEY_REQUIRES_EXPLICIT_MODE"),
                (of_line(bag, tax_breakdown_refunds=of_cake), "TAX_BREAKDOWN_REFUNDS_REQUIRE_EXPLICIT_MODE"),
                (
                    of_line(bag, tax_adjustment_reason={"code": "rounding"}),
                    "TAX_ADJUSTMENT_REASON_REQUIRES_EXPLICIT_MODE",
                ),
                (of_line(bag, tax_adjustment_audit=AUDIT), "TAX_ADJUSTMENT_AUDIT_REQUIRES_EXPLICIT_MODE"),
                (without(stated, "tax_money"), "TAX_MONEY_REQUIRED"),
                (without(stated, "tax_adjustment_reason"), "TAX_ADJUSTMENT_REASON_REQUIRED"),
                (without(stated, "tax_adjustment_audit"), "TAX_ADJUSTMENT_AUDIT_REQUIRED"),
                (without(stated, "tax_breakdown_refunds"), "TAX_BREAKDOWN_REFUNDS_REQUIRED"),
                ({**stated, "tax_money": amount(51)}, "TAX_BREAKDOWN_REFUND_TOTAL_MISMATCH"),
                ({**stated, "tax_breakdown_refunds": of_cake}, "TAX_BREAKDOWN_LINE_ITEM_MISMATCH"),
                ({**stated, "tax_breakdown_refunds": strange}, "TAX_BREAKDOWN_UNAVAILABLE"),
                ({**stated, "tax_breakdown_refunds": twice}, "DUPLICATE_TAX_BREAKDOWN_REFUND"),
                (
                    {**stated, "tax_breakdown_refunds": [without(of_cake[0], "tax_money")]},
                    "TAX_BREAKDOWN_REFUND_MONEY_REQUIRED",
                ),
                (explicit(bag, 201, quantity=1), "TAX_REFUND_EXCEEDS_AUTOMATIC"),
                (explicit(bag, 200, quantity=1), "EXPLICIT_TAX_REFUND_NOOP"),
                (explicit(bag, 601), "TAX_BREAKDOWN_REFUND_EXCEEDS_REMAINING"),
                ({**stated, "tax_adjustment_reason": {"code": "so"}}, "INVALID_TAX_ADJUSTMENT_REASON_CODE"),
                (
                    {**stated, "tax_adjustment_audit": {**AUDIT, "actor_type": "robot"}},
                    "INVALID_TAX_ADJUSTMENT_AUDIT_ACTOR_TYPE",
                ),
                (
                    {**stated, "tax_adjustment_audit": without(AUDIT, "actor_id")},
                    "REFUND_ADJUSTMENT_AUDIT_ACTOR_ID_REQUIRED",
                ),
                (
                    {**stated, "tax_adjustment_audit": {**AUDIT, "actor_id": "x" * 256}},
                    "REFUND_ADJUSTMENT_AUDIT_ACTOR_ID_TOO_LONG",
                ),
                (
                    {**stated, "tax_adjustment_audit": without(AUDIT, "source")},
                    "REFUND_ADJUSTMENT_AUDIT_SOURCE_REQUIRED",
                ),
                (
                    {**stated, "tax_adjustment_audit": {**AUDIT, "source": "x" * 256}},
                    "REFUND_ADJUSTMENT_AUDIT_SOURCE_TOO_LONG",
                ),
            ):
                assert refund(api, cart, line_items=[target]).code == code, code

    def test_a_line_without_tax_has_none_to_split(self, api, environment):
        order = stories.paid_order(environment, line(1_000), line(1_000, tax=vat()))
        plain, taxed = order.line_items.order_by("position")
        split = [{"tax_breakdown_id": tax_of(order, taxed).id, "tax_money": amount(1)}]
        target = {**explicit(taxed, 1), "order_line_item_id": plain.id, "tax_breakdown_refunds": split}

        with nothing_moves(order):
            assert refund(api, order, line_items=[target]).code == "TAX_BREAKDOWN_REFUNDS_WITHOUT_TAX"


class TestContext:
    """What a refund is about."""

    def test_targets_that_are_too_much_for_the_amount_are_named_by_kind(self, api, cart, bag):
        post = {"order_charge_id": cart.charges.get().id}
        with nothing_moves(cart):
            lines = refund(api, cart, line_items=[of_line(bag)], amount_money=amount(3_599))
            assert (lines.code, lines.error["required_money"]) == (
                "LINE_ITEM_TARGETS_EXCEED_REFUND_AMOUNT",
                amount(3_600),
            )
            charges = refund(api, cart, charges=[post], amount_money=amount(299))
            assert charges.code == "CHARGE_TARGETS_EXCEED_REFUND_AMOUNT"

    def test_an_order_without_charges_has_none_to_refund(self, api, environment):
        order = stories.paid_order(environment)
        with nothing_moves(order):
            refused = refund(api, order, charges=[{"order_charge_id": f"och_{STRANGE}"}])
        assert refused.code == "ORDER_HAS_NO_REFUNDABLE_CHARGES"

    def test_a_payment_without_an_order_has_no_parts(self, api):
        intent = create(api, 1_000)
        assert confirm_standalone(api, intent).status_code == 200
        tender = {"tender_type": "payment_intent", "payment_intent_id": intent, "amount_money": amount(1)}
        for targets, code in (
            ({"line_items": [{"order_line_item_id": f"oli_{STRANGE}"}]}, "ORDER_REQUIRED_FOR_LINE_ITEM_REFUND"),
            ({"charges": [{"order_charge_id": f"och_{STRANGE}"}]}, "ORDER_REQUIRED_FOR_CHARGE_REFUND"),
            (
                {"tax_breakdown_refunds": [{"tax_breakdown_id": f"txb_{STRANGE}"}]},
                "ORDER_REQUIRED_FOR_TAX_BREAKDOWN_REFUND",
            ),
            ({"tender_allocations": [tender]}, "ORDER_REQUIRED_FOR_TENDER_REFUND"),
        ):
            assert refund(api, payment_intent_id=intent, **targets).code == code
        assert refund(api, payment_intent_id=intent, amount_money=amount(400)).data["amount_money"] == amount(400)
