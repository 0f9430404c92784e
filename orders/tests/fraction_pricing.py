"""
A second calculator, to check the first one against: written from the contract with exact fractions, sharing no code.

It works the other way round: every line and charge is a pot that discounts drain, and the order is what the pots add
up to. It returns plain dicts in the shape of ``dataclasses.asdict(price(cart))``.
"""

from fractions import Fraction
from math import floor


def recompute(cart) -> dict:
    """Price a cart a second time."""
    lines = [_pot(line, Fraction(line.unit_price) * line.quantity + line.modifier_total) for line in cart.lines]
    charges = []
    discounts = [None] * len(cart.discounts)

    for place, discount in enumerate(cart.discounts):
        if discount.discount_class == "order":
            discounts[place] = _drain(discount, lines)
        elif discount.discount_class == "line_item":
            discounts[place] = _drain(discount, [pot for pot in lines if pot["key"] in discount.targets])

    for charge in cart.charges:
        basis = "full" if charge.basis == "subtotal_pre_discount" else "left"
        charges.append(_pot(charge, _amount_of(charge, sum(pot[basis] for pot in lines))))
    for place, discount in enumerate(cart.discounts):
        if discount.discount_class == "service_charge":
            chosen = [pot for pot in charges if not discount.targets or pot["key"] in discount.targets]
            discounts[place] = _drain(discount, chosen)

    breakdown = [row for pot in lines for row in _tax(pot, "line")]
    breakdown += [row for pot in charges for row in _tax(pot, "charge")]
    for flat in cart.flat_taxes:
        breakdown.append(
            {"owner": "order", "owner_key": None, "key": flat.key, "taxable": 0, "tax": flat.amount, "inclusive": False}
        )
    tip = _amount_of(cart.tip, sum(pot["left"] for pot in lines)) if cart.tip else 0

    line_rows = [_line_row(pot) for pot in lines]
    charge_rows = [_charge_row(pot) for pot in charges]
    return {
        "subtotal": sum(row["subtotal"] for row in line_rows),
        "discount": sum(row["discount"] for row in line_rows + charge_rows),
        "charge": sum(row["applied"] for row in charge_rows),
        "tip": tip,
        "tax": sum(row["tax"] for row in breakdown),
        "inclusive_tax": sum(row["inclusive_tax"] for row in line_rows + charge_rows),
        "total": sum(row["total"] for row in line_rows + charge_rows)
        + tip
        + sum(flat.amount for flat in cart.flat_taxes),
        "lines": tuple(line_rows),
        "charges": tuple(charge_rows),
        "discounts": tuple(discounts),
        "taxes": tuple(breakdown),
    }


def _rate(percent: int) -> Fraction:
    return Fraction(percent, 10_000) / 100


def _nearest(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


def _amount_of(defined, basis) -> int:
    return defined.amount if defined.amount is not None else _nearest(basis * _rate(defined.percent))


def _pot(item, full) -> dict:
    return {"key": item.key, "item": item, "full": int(full), "left": int(full), "inside": 0, "on_top": 0}


def _apportion(amount: int, quotas: list[Fraction]) -> list[int]:
    """Give out whole units, one at a time, to whoever is furthest below their exact quota."""
    given = [floor(quota) for quota in quotas]
    while sum(given) < amount:
        behind = [quota - have for quota, have in zip(quotas, given, strict=True)]
        given[behind.index(max(behind))] += 1
    return given


def _drain(discount, pots) -> dict:
    room = sum(pot["left"] for pot in pots)
    applied = discount.amount if discount.amount < room else room
    parts = _apportion(applied, [Fraction(applied * pot["left"], room) if room else Fraction(0) for pot in pots])
    for pot, part in zip(pots, parts, strict=True):
        pot["left"] -= part
    shares = tuple((pot["key"], part) for pot, part in zip(pots, parts, strict=True) if part > 0)
    return {"key": discount.key, "applied": applied, "shares": shares}


def _tax(pot, owner) -> list[dict]:
    rates = [_rate(component.percent) for component in pot["item"].components]
    whole, inclusive = sum(rates, Fraction(0)), pot["item"].inclusive
    if inclusive:
        pot["inside"] = _nearest(pot["left"] - pot["left"] / (1 + whole))
        taxes = _apportion(pot["inside"], [pot["inside"] * rate / whole if whole else Fraction(0) for rate in rates])
    else:
        taxes = [_nearest(pot["left"] * rate) for rate in rates]
        pot["on_top"] = sum(taxes)
    return [
        {
            "owner": owner,
            "owner_key": pot["key"],
            "key": component.key,
            "taxable": pot["left"] - pot["inside"],
            "tax": tax,
            "inclusive": inclusive,
        }
        for component, tax in zip(pot["item"].components, taxes, strict=True)
    ]


def _line_row(pot) -> dict:
    item = pot["item"]
    return {
        "key": pot["key"],
        "base_subtotal": item.unit_price * item.quantity,
        "modifier_total": item.modifier_total,
        "subtotal": pot["full"],
        **_outcome(pot),
    }


def _charge_row(pot) -> dict:
    return {"key": pot["key"], "applied": pot["full"], **_outcome(pot)}


def _outcome(pot) -> dict:
    return {
        "discount": pot["full"] - pot["left"],
        "tax": pot["inside"] + pot["on_top"],
        "inclusive_tax": pot["inside"],
        "total": pot["left"] + pot["on_top"],
    }
