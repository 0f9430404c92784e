"""What is paid for, and what was paid: rows of text for people, read from the order as it is."""

import zoneinfo
from typing import Any

from django.db.models import Sum

from flint.languages import Language
from flint.messages.kinds import Row
from flint.money import Money
from orders.models import Order
from payments.models import CheckoutSession


def lines_of(order: Order, language: Language) -> list[Row]:
    """Return what was ordered, each line at its worth before discounts and taxes, and what is charged on top."""
    rows = []
    for line in order.line_items.order_by("position"):
        each = language.money(order.money(line.unit_price_amount))
        detail = f"{line.quantity} × {each}" if line.quantity != 1 else ""
        rows.append(Row(line.name, language.money(order.money(line.subtotal_amount)), detail))
    rows += [
        Row(charge.name, language.money(order.money(charge.applied_amount)))
        for charge in order.charges.order_by("position")
    ]
    return rows


def sums_of(order: Order, language: Language, *, asked: int | None = None) -> list[Row]:
    """Return how the lines come to what is owed now, and to what of it is asked for, if that is less."""
    say, money = language.say, language.money

    def row(label: str, amount: int, **options: Any) -> list[Row]:
        return [Row(label, money(order.money(amount)), **options)] if amount else []

    taxes = order.tax_amount + order.inclusive_tax_amount
    included = say("included") if order.inclusive_tax_amount and not order.tax_amount else ""
    rows = [
        *row(say("Discount"), -order.discount_amount),
        *row(say("Tax"), taxes, detail=included),
        *row(say("Tip"), order.tip_amount),
    ]
    rows.append(Row(say("Total"), money(order.money(order.total_amount)), is_strong=True))
    rows += row(say("Credited"), -order.credit_amount)
    rows += row(say("Paid so far"), -order.net_collected_amount)
    if asked is not None and asked != order.outstanding_amount:
        rows += row(say("Still owed"), order.outstanding_amount)
        rows += row(say("To pay now"), asked, is_strong=True)
    elif order.net_collected_amount or order.credit_amount:
        rows.append(Row(say("To pay now"), money(order.outstanding_money), is_strong=True))
    return rows


def paid_in(session: CheckoutSession) -> Money:
    """Return what was paid: on the order as a whole, or, where a session collects a part of an invoice, in it."""
    order = session.order
    if session.invoice_id is None:
        return order.money(order.net_collected_amount)
    captured = session.payment_intents.aggregate(sum=Sum("captured_amount"))["sum"] or 0
    return order.money(captured or order.net_collected_amount)


def receipt_of(session: CheckoutSession, language: Language) -> list[Row]:
    """Return what a buyer recognises the payment by: how much, what with, when and for which order."""
    order, say = session.order, language.say
    rows = [Row(say("Paid"), language.money(paid_in(session)))]
    leg = order.payment_intents.filter(captured_amount__gt=0).order_by("-captured_at", "-id").first()
    if leg is not None:
        zone = zoneinfo.ZoneInfo(session.timezone or session.environment.merchant.reporting_timezone)
        name = leg.source_bank_name or leg.source_brand.replace("_", " ").title()
        rows.append(Row(say("Paid with"), f"{name} •••• {leg.source_last4}" if leg.source_last4 else name))
        rows.append(Row(say("Date"), language.time(leg.captured_at, zone)))
    rows.append(Row(say("Order"), order.order_number))
    rows.append(Row(say("Paid to"), str(session.environment.merchant)))
    return rows
