"""Edits that are taken back: no money moves, every amount is as before, and nothing falls below what was kept."""

import random
from typing import Any

import pytest

from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import eur
from orders.models import Order
from orders.tests.sales import add_charge, create, fee, flat_tax, line, money, nothing_moves, percentage, taxed
from payments.tests.acts import at_processor, confirm, pay, stage

GROWS = {"order_revision", "updated_at", "version"}
"""What tells that something was stored, and so is not as before."""


def amounts(shown: Any) -> Any:
    """Return what is shown of an order without what grows with every change."""
    if isinstance(shown, dict):
        return {name: amounts(value) for name, value in shown.items() if name not in GROWS}
    return [amounts(value) for value in shown] if isinstance(shown, list) else shown


def read(api, order_id: str) -> dict[str, Any]:
    return api.get(f"/v1/orders/{order_id}").data


def some_order(api, chance: random.Random) -> dict[str, Any]:
    """Create an order of anything."""

    def some_line() -> dict[str, Any]:
        more = (
            {"tax": taxed(8.875, price_mode=chance.choice(["additive", "inclusive"]))} if chance.random() < 0.5 else {}
        )
        return line(chance.randint(50, 2_000), quantity=chance.randint(1, 4), **more)

    body: dict[str, Any] = {}
    if chance.random() < 0.5:
        body["discounts"] = [{"manual": {"name": "Off", "amount_money": money(chance.randint(1, 90))}}]
    if chance.random() < 0.5:
        body["requested_tip"] = chance.choice([{"percent": 12.5}, {"amount_money": money(77)}])
    if chance.random() < 0.3:
        body["tax"] = flat_tax(33)
    order = create(api, *[some_line() for _ in range(chance.randint(1, 3))], **body)
    return add_charge(api, order, **percentage(3.5)) if chance.random() < 0.3 else order


def settle(api, order_id: str, chance: random.Random) -> str:
    """Pay an order or a part of it, or not, and perhaps give some back; return what was done."""
    row, way = Order.objects.get(id=order_id), chance.choice(["unpaid", "partly", "paid", "refunded"])
    if way == "partly":
        confirm(api, row, stage(api, row, row.total_amount // 2), completion_behavior="partial_payment")
    elif way != "unpaid":
        pay(api, row)
    if way == "refunded":
        stories.refund(row, amount_money=Money(max(row.total_amount // 3, 1), "EUR"))
    return way


def edit_and_undo(api, order: dict[str, Any], chance: random.Random, *, is_paid: bool) -> str:
    """Make one edit that the order allows and take it back; return which."""
    path = f"/v1/orders/{order['order_id']}"
    acts = (
        ["line", "charge", "two lines"] if is_paid else ["line", "charge", "two lines", "quantity", "discount", "tip"]
    )
    act = chance.choice(acts)
    answers = []
    if act in ("line", "two lines"):
        added = [line(chance.randint(1, 3_000), tax=taxed(19)) for _ in range(2 if act == "two lines" else 1)]
        answers.append(api.post(f"{path}/line-items", {"line_items": added}))
        known = {each["order_line_item_id"] for each in order["line_items"]}
        for each in answers[0].data["line_items"]:
            if each["order_line_item_id"] not in known:
                answers.append(api.delete(f"{path}/line-items/{each['order_line_item_id']}"))
    elif act == "charge":
        answers.append(api.post(f"{path}/charges", {"charge": chance.choice([fee(400), percentage(2.25)])}))
        added_charge = answers[0].data["charges"][-1]["order_charge_id"]
        answers.append(api.delete(f"{path}/charges/{added_charge}"))
    elif act == "quantity":
        changed = chance.choice(order["line_items"])
        of_line = f"{path}/line-items/{changed['order_line_item_id']}"
        answers.append(api.patch(of_line, {"quantity": changed["quantity"] + 3}))
        answers.append(api.patch(of_line, {"quantity": changed["quantity"]}))
    elif act == "discount":
        gift = {"manual": {"name": "Gift", "amount_money": money(chance.randint(1, 40))}}
        answers.append(api.post(f"{path}/discounts", gift))
        given = answers[0].data["applied_discounts"][-1]["order_discount_id"]
        answers.append(api.post(f"{path}/discounts/remove", {"order_discount_ids": [given]}))
    else:
        before = order.get("requested_tip")
        answers.append(api.patch(path, {"requested_tip": {"amount_money": money(123)}}))
        answers.append(api.patch(path, {"requested_tip": before}))
    assert [answer.status_code for answer in answers] == [200] * len(answers), [answer.content for answer in answers]
    assert answers[0].data["pricing_amounts"] != order["pricing_amounts"]
    return act


@pytest.mark.parametrize("seed", range(0, 40, 10))
def test_d118_whatever_is_edited_and_undone_leaves_every_amount_as_it_was(api, seed):
    for each in range(seed, seed + 10):
        chance = random.Random(each)
        made = some_order(api, chance)
        way = settle(api, made["order_id"], chance)
        before = read(api, made["order_id"])
        row = Order.objects.get(id=made["order_id"])
        moved, entries = at_processor(row), row.entry_count

        act = edit_and_undo(api, before, chance, is_paid=way != "unpaid")

        after = read(api, made["order_id"])
        tips = {"tips"} if act == "tip" else set()
        assert amounts({k: v for k, v in after.items() if k not in tips}) == amounts(
            {k: v for k, v in before.items() if k not in tips}
        ), (each, way, act)
        assert after["order_revision"] > before["order_revision"]
        assert list(at_processor(row)) == list(moved)
        # What was posted for the edit was taken back by entries of its own; nothing was unwritten.
        assert assert_books(row, total=before["pricing_amounts"]["total_money"]["amount"]).entry_count > entries


@pytest.mark.parametrize("seed", range(3))
def test_the_total_never_falls_below_what_was_kept_whatever_is_tried(api, seed):
    """Edits that lower a paid order are refused and move nothing, or leave at least as much as was kept."""
    chance = random.Random(seed)
    for _ in range(8):
        order = some_order(api, chance)
        settle(api, order["order_id"], chance)
        path = f"/v1/orders/{order['order_id']}"
        for _ in range(4):
            shown = read(api, order["order_id"])
            taken = chance.choice(shown["line_items"])["order_line_item_id"]
            tries = [
                ("DELETE", f"{path}/line-items/{taken}", None),
                ("POST", f"{path}/discounts", {"manual": {"name": "All", "amount_money": money(100_000)}}),
                ("PATCH", path, {"requested_tip": None}),
                ("PATCH", path, {"tax": {"enabled": False}}),
                ("POST", f"{path}/line-items", {"line_items": [line(chance.randint(1, 500))]}),
            ]
            method, address, body = chance.choice(tries)
            api.call(method, address, body=body)
            row = Order.objects.get(id=order["order_id"])
            assert row.total_amount - row.credit_amount >= row.net_collected_amount
    assert_books(row)


def test_d124_a_fee_that_was_kept_can_be_given_back_later(api, environment):
    made = create(api, line(4_000))
    made = add_charge(api, made, **fee(1_000, name="Cancellation", type="other"))
    order = Order.objects.get(id=made["order_id"])
    pay(api, order)
    goods = [{"order_line_item_id": made["line_items"][0]["order_line_item_id"]}]
    stories.refund(order, line_items=[{"order_line_item_id": goods[0]["order_line_item_id"], "quantity": 1}])
    assert_books(order, total=5_000, paid=5_000, refunded=4_000, credit=4_000, balance=0)

    stories.refund(order, charges=[{"order_charge_id": made["charges"][0]["order_charge_id"]}])

    assert_books(order, total=5_000, paid=5_000, refunded=5_000, credit=5_000, balance=0, refund_status="refunded")


@pytest.mark.parametrize(("currency", "amount"), [("JPY", 500), ("USD", 500), ("KWD", 5_000)])
def test_d142_there_and_back_in_minor_units_of_every_currency(api, environment, currency, amount):
    order = stories.open_order(environment, total=amount, currency=currency)
    pay(api, order)

    stories.refund(order)

    assert_books(order, total=amount, paid=amount, refunded=amount, credit=amount, balance=0)
    moved = at_processor(order)
    assert [effect.amount for effect in moved.charges] == [effect.amount for effect in moved.refunds] == [amount]


def test_d144_a_fraction_of_a_cent_is_neither_charged_nor_owed(api):
    made = create(api, line(2_499, tax=taxed(10.75)))
    made = add_charge(api, made, **fee(644))
    order = Order.objects.get(id=made["order_id"])

    pay(api, order)

    # 10.75 % of 24.99 is 2.686425.
    assert made["pricing_amounts"]["tax_money"] == money(269)
    assert_books(order, total=3_412, paid=3_412, balance=0, payment_status="paid")
    assert [effect.amount for effect in at_processor(order).charges] == [3_412]
    explained = api.get(f"/v1/orders/{order.id}/explanation").data["figures"][0]["terms"]
    (tax,) = (term for term in explained if term["kind"] == "tax")
    assert tax["rounding"] == {"method": "half_up", "numerator": 357_500, "denominator": 1_000_000}


def test_a_correction_after_payment_is_a_refund_and_not_an_edit(api):
    made = create(api, line(1_000, quantity=2))
    order = Order.objects.get(id=made["order_id"])
    pay(api, order)
    line_path = f"/v1/orders/{order.id}/line-items/{made['line_items'][0]['order_line_item_id']}"

    with nothing_moves():
        assert api.patch(line_path, {"quantity": 1}).status_code == 409
        assert api.delete(line_path).status_code == 409
    stories.refund(order, amount_money=eur(1_000))

    assert_books(order, total=2_000, paid=2_000, refunded=1_000, credit=1_000, balance=0, payment_status="paid")
