"""Pricing against a second calculator, against the contract's identities, and on cases where others lost the truth."""

from dataclasses import asdict, replace
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orders.amounts import Cart, Charge, Discount, FlatTax, Line, TaxComponent, Tip, price, tip_ceiling
from orders.tests.fraction_pricing import recompute

MAGNITUDES = (9, 500, 10_000, 5_000_000, 99_999_999_999)
"""Prices as they look in 0-, 2- and 3-digit currencies, from pennies to the dearest line that is accepted."""

PERCENTS = (0, 1, 29_000, 62_500, 70_000, 107_500, 190_000, 200_000, 220_000, 333_333, 1_000_000)

shrinkable = st.randoms(use_true_random=False)
quick = settings(
    max_examples=400, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def a_cart(rng: Random, most_lines: int = 6) -> Cart:
    """Return any valid cart: every kind of line, charge, discount, tip and tax, often with nothing left to discount."""
    top = rng.choice(MAGNITUDES)
    lines = tuple(a_line(rng, f"line{i}", top) for i in range(rng.randint(0, most_lines)))
    charges = tuple(a_charge(rng, f"charge{i}", top) for i in range(rng.randint(0, 3)))
    discounts = tuple(a_discount(rng, f"discount{i}", top, lines, charges) for i in range(rng.randint(0, 4)))
    flat_taxes = tuple(FlatTax(f"flat{i}", rng.randint(1, top)) for i in range(rng.randint(0, 2)))
    tip = rng.choice([None, Tip(amount=rng.randint(1, top)), Tip(percent=rng.randint(10_000, 1_000_000))])
    return Cart(lines, charges, discounts, tip, flat_taxes)


def a_line(rng: Random, key: str, top: int) -> Line:
    quantity, unit_price = rng.choice([1, 2, 3, 10, rng.randint(1, 999)]), rng.randint(0, top)
    modifiers = rng.choice([0, rng.randint(0, top), -rng.randint(0, unit_price * quantity)])
    return Line(key, quantity, unit_price, modifiers, rng.random() < 0.5, components(rng))


def a_charge(rng: Random, key: str, top: int) -> Charge:
    taxed = {"inclusive": rng.random() < 0.5, "components": components(rng)}
    if rng.random() < 0.5:
        return Charge(key, amount=rng.randint(0, top), **taxed)
    basis = rng.choice(["subtotal_pre_discount", "subtotal_post_discount"])
    return Charge(key, percent=rng.choice(PERCENTS), basis=basis, **taxed)


def a_discount(rng: Random, key: str, top: int, lines: tuple, charges: tuple) -> Discount:
    kind = rng.choice(["order", "line_item", "service_charge"])
    choices = {"order": (), "line_item": lines, "service_charge": charges}[kind]
    targets = tuple(item.key for item in choices if rng.random() < 0.5)
    return Discount(key, rng.choice([rng.randint(0, top), rng.randint(0, 20)]), kind, targets)


def components(rng: Random) -> tuple[TaxComponent, ...]:
    percents = [rng.choice([rng.choice(PERCENTS), rng.randint(0, 1_000_000)]) for _ in range(rng.randint(0, 4))]
    return tuple(TaxComponent(f"tax{i}", percent) for i, percent in enumerate(percents))


def vat(percent: int) -> tuple[TaxComponent, ...]:
    return (TaxComponent("vat", percent),)


# Any cart


@quick
@given(shrinkable)
def test_two_calculators_agree_on_any_cart(rng):
    cart = a_cart(rng)

    assert asdict(price(cart)) == recompute(cart)


@pytest.mark.parametrize("most_lines", [1, 5, 40])
def test_two_calculators_agree_on_thousands_of_carts(most_lines):
    rng = Random(f"flint {most_lines}")
    for _ in range(12_000 // (most_lines + 1)):
        cart = a_cart(rng, most_lines)
        assert asdict(price(cart)) == recompute(cart), cart


@quick
@given(shrinkable)
def test_the_amounts_of_any_cart_add_up_as_the_contract_says(rng):
    cart = a_cart(rng)
    priced = price(cart)

    on_top = priced.tax - priced.inclusive_tax
    assert priced.total == priced.subtotal - priced.discount + priced.charge + priced.tip + on_top
    rows = priced.lines + priced.charges
    flat = sum(one.amount for one in cart.flat_taxes)
    assert priced.total == sum(row.total for row in rows) + priced.tip + flat
    assert priced.subtotal == sum(line.subtotal for line in priced.lines)
    assert priced.charge == sum(charge.applied for charge in priced.charges)
    assert priced.discount == sum(row.discount for row in rows) == sum(one.applied for one in priced.discounts)
    assert priced.tax == sum(row.tax for row in rows) + flat == sum(row.tax for row in priced.taxes)
    assert priced.inclusive_tax == sum(row.inclusive_tax for row in rows)
    for line in priced.lines:
        assert line.subtotal == line.base_subtotal + line.modifier_total
        assert line.total == line.subtotal - line.discount + line.tax - line.inclusive_tax
    for charge in priced.charges:
        assert charge.total == charge.applied - charge.discount + charge.tax - charge.inclusive_tax


@quick
@given(shrinkable)
def test_nothing_in_any_cart_is_negative_or_a_fraction(rng):
    priced = asdict(price(a_cart(rng)))

    for row in [priced, *priced["lines"], *priced["charges"], *priced["taxes"]]:
        amounts = {name: value for name, value in row.items() if name not in ("key", "owner", "owner_key", "inclusive")}
        amounts.pop("modifier_total", None)  # The one amount that may be negative: a modifier can make a line cheaper.
        assert all(type(value) is int and value >= 0 for value in amounts.values() if not isinstance(value, tuple))


@quick
@given(shrinkable)
def test_a_discount_takes_its_amount_or_all_that_its_targets_have_left(rng):
    cart = a_cart(rng)
    priced = price(cart)
    left = {line.key: line.subtotal for line in priced.lines} | {one.key: one.applied for one in priced.charges}
    of_kind = {
        "order": [line.key for line in cart.lines],
        "line_item": [],
        "service_charge": [charge.key for charge in cart.charges],
    }

    for asked, applied in zip(cart.discounts, priced.discounts, strict=True):
        targets = asked.targets or of_kind[asked.discount_class]
        assert applied.applied == min(asked.amount, sum(left[key] for key in targets))
        assert applied.applied == sum(amount for _, amount in applied.shares)
        for key, amount in applied.shares:
            assert key in targets
            left[key] -= amount

    assert all(amount >= 0 for amount in left.values())
    assert all(left[line.key] == line.subtotal - line.discount for line in priced.lines)
    assert all(left[charge.key] == charge.applied - charge.discount for charge in priced.charges)


@quick
@given(shrinkable)
def test_tax_inside_a_price_never_changes_what_is_paid(rng):
    cart = a_cart(rng)
    inclusive = replace(
        cart,
        lines=tuple(replace(line, inclusive=True) for line in cart.lines),
        charges=tuple(replace(charge, inclusive=True) for charge in cart.charges),
    )
    untaxed = replace(
        inclusive,
        lines=tuple(replace(line, components=()) for line in inclusive.lines),
        charges=tuple(replace(charge, components=()) for charge in inclusive.charges),
    )

    assert price(inclusive).total == price(untaxed).total


@quick
@given(shrinkable)
def test_the_order_of_lines_changes_no_total_unless_a_unit_is_tied(rng):
    cart = replace(a_cart(rng), discounts=(Discount("off", rng.randint(0, 10_000), "order"),))
    priced = price(cart)
    if priced.discount:
        remainders = [priced.discount * line.subtotal % priced.subtotal for line in priced.lines]
        assume(len(set(remainders)) == len(remainders))
    shuffled = list(cart.lines)
    rng.shuffle(shuffled)

    again = price(replace(cart, lines=tuple(shuffled)))

    assert replace(again, lines=(), discounts=(), taxes=()) == replace(priced, lines=(), discounts=(), taxes=())
    assert set(again.lines) == set(priced.lines)
    assert set(again.taxes) == set(priced.taxes)


# One rule each


def test_an_empty_cart_is_worth_nothing():
    priced = price(Cart(lines=(), discounts=(Discount("off", 500, "order"),), tip=Tip(percent=200_000)))

    assert priced.total == priced.tip == priced.discount == 0


def test_the_published_sample_adds_up():
    line = Line("ticket", 2, 1_800, components=vat(82_500))
    fee = Charge("fee", percent=250_000, basis="subtotal_pre_discount")

    priced = price(Cart((line,), (fee,)))

    assert (priced.subtotal, priced.charge, priced.tax, priced.total) == (3_600, 900, 297, 4_797)


def test_halves_are_rounded_up():
    priced = price(Cart((Line("a", 1, 50, components=vat(10_000)),), tip=Tip(percent=10_000)))

    assert (priced.tax, priced.tip) == (1, 1)


def test_a_tied_unit_goes_to_the_earlier_line():
    lines = (Line("a", 1, 100), Line("b", 1, 100), Line("c", 1, 100))

    priced = price(Cart(lines, discounts=(Discount("off", 100, "order"),)))

    assert priced.discounts[0].shares == (("a", 34), ("b", 33), ("c", 33))


def test_discounts_apply_in_sequence_each_to_what_is_left():
    lines = (Line("a", 1, 1_000), Line("b", 1, 1_000))
    first, second = Discount("first", 800, "line_item", ("a",)), Discount("second", 600, "order")

    priced = price(Cart(lines, discounts=(first, second)))

    assert [one.shares for one in priced.discounts] == [(("a", 800),), (("a", 100), ("b", 500))]


def test_a_discount_is_capped_at_what_its_lines_have_left():
    lines = (Line("a", 1, 1_000), Line("b", 1, 1_000))

    priced = price(Cart(lines, discounts=(Discount("off", 5_000, "line_item", ("b",)),)))

    assert (priced.discount, priced.total) == (1_000, 1_000)
    assert priced.discounts[0].shares == (("b", 1_000),)


@pytest.mark.parametrize("targets", [(), ("gone",)])
def test_a_line_discount_without_its_line_takes_nothing(targets):
    priced = price(Cart((Line("a", 1, 1_000),), discounts=(Discount("off", 500, "line_item", targets),)))

    assert (priced.discount, priced.total) == (0, 1_000)


def test_merchandise_discounts_never_touch_charges_or_a_tip():
    cart = Cart((Line("a", 1, 1_000),), (Charge("shipping", amount=500),), (Discount("off", 9_999, "order"),), Tip(200))

    priced = price(cart)

    assert (priced.discount, priced.charge, priced.tip, priced.total) == (1_000, 500, 200, 700)


def test_a_charge_discount_without_targets_is_off_all_charges_and_lowers_their_tax():
    charges = (Charge("a", amount=300, components=vat(100_000)), Charge("b", amount=100))

    priced = price(Cart((Line("line", 1, 1_000),), charges, (Discount("off", 200, "service_charge"),)))

    assert [(one.applied, one.discount, one.tax, one.total) for one in priced.charges] == [
        (300, 150, 15, 165),
        (100, 50, 0, 50),
    ]
    assert (priced.charge, priced.discount, priced.total) == (400, 200, 1_215)


@pytest.mark.parametrize(("basis", "applied"), [("subtotal_pre_discount", 100), ("subtotal_post_discount", 80)])
def test_a_percent_charge_takes_the_basis_it_names(basis, applied):
    charge = Charge("fee", percent=100_000, basis=basis)

    assert price(Cart((Line("a", 1, 1_000),), (charge,), (Discount("off", 200, "order"),))).charge == applied


def test_a_percent_tip_is_taken_on_goods_after_discounts_and_nothing_else():
    line = Line("a", 1, 1_000, components=vat(200_000))
    cart = Cart((line,), (Charge("fee", amount=5_000),), (Discount("off", 200, "order"),), Tip(percent=100_000))

    assert price(cart).tip == 80


def test_inclusive_tax_is_rounded_once_and_split_over_its_components():
    line = Line("a", 1, 100, inclusive=True, components=(TaxComponent("state", 50_000), TaxComponent("city", 50_000)))

    priced = price(Cart((line,)))

    assert [(row.taxable, row.tax) for row in priced.taxes] == [(91, 5), (91, 4)]
    assert (priced.tax, priced.inclusive_tax, priced.total) == (9, 9, 100)


def test_each_additive_component_is_rounded_for_itself():
    line = Line("a", 1, 50, components=(TaxComponent("state", 10_000), TaxComponent("city", 10_000)))

    assert [(row.taxable, row.tax) for row in price(Cart((line,))).taxes] == [(50, 1), (50, 1)]


def test_flat_tax_is_on_top_and_belongs_to_the_order():
    priced = price(Cart((Line("a", 1, 1_000),), flat_taxes=(FlatTax("delivery", 28),)))

    assert (priced.tax, priced.inclusive_tax, priced.total) == (28, 0, 1_028)
    assert (priced.taxes[0].owner, priced.taxes[0].owner_key, priced.taxes[0].taxable) == ("order", None, 0)


def test_a_line_worth_less_than_nothing_is_refused():
    with pytest.raises(ValueError, match="less than nothing"):
        price(Cart((Line("a", 1, 100, modifier_total=-101),)))


def test_only_dollars_have_a_tip_ceiling():
    assert tip_ceiling("USD", 5_000) == 100_000
    assert tip_ceiling("USD", 250_000) == 250_000
    assert tip_ceiling("EUR", 5_000) is None


# Drift: where comparable systems lost the truth


def test_d119_losing_a_discount_lowers_the_total_by_the_difference_only():
    line, shipping = Line("a", 4, 3_000), (Charge("shipping", amount=500),)
    before = price(Cart((line,), shipping, (Discount("over 100.00", 5_000, "order"),)))

    after = price(Cart((replace(line, quantity=2),), shipping))

    assert (before.total, after.total, before.total - after.total) == (7_500, 6_500, 1_000)


def test_d139_an_order_discount_is_known_per_line():
    lines = (Line("a", 1, 15_000), Line("b", 1, 6_000))

    priced = price(Cart(lines, discounts=(Discount("20 %", 4_200, "order"),)))

    assert [(line.discount, line.total) for line in priced.lines] == [(3_000, 12_000), (1_200, 4_800)]


def test_d144_no_fraction_of_a_cent_reaches_the_total():
    priced = price(Cart((Line("a", 1, 2_499, components=vat(107_500)),), (Charge("shipping", amount=644),)))

    assert (priced.tax, priced.total) == (269, 3_412)


def test_d146_a_discounted_line_with_tax_inside_is_worth_its_price_to_the_penny():
    line = Line("a", 10, 2_390, inclusive=True, components=vat(200_000))

    priced = price(Cart((line,), discounts=(Discount("25 %", 5_975, "order"),)))

    assert (priced.total, priced.tax, priced.taxes[0].taxable) == (17_925, 2_988, 14_937)


def test_d147_a_line_that_three_units_do_not_divide_is_worth_all_of_it():
    priced = price(Cart((Line("a", 3, 3_333, modifier_total=1),)))

    assert (priced.lines[0].total, priced.total) == (10_000, 10_000)


@pytest.mark.parametrize(("inclusive", "total", "tax"), [(False, 366_751, 66_136), (True, 300_615, 54_209)])
def test_d149_lines_in_either_order_give_the_same_total(inclusive, total, tax):
    first = Line("a", 3, 73_361, inclusive=inclusive, components=vat(220_000))
    second = Line("b", 2, 56_967, inclusive=inclusive, components=vat(220_000))
    discounts = (Discount("10 %", 33_402, "order"),)

    for lines in [(first, second), (second, first)]:
        priced = price(Cart(lines, discounts=discounts))
        assert (priced.total, priced.tax) == (total, tax)
        assert {line.key: line.discount for line in priced.lines} == {"a": 22_008, "b": 11_394}
