"""What a receipt shows, in a mail and on its page: read from the order as it is, with nothing that names the buyer."""

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from flint.languages import Language
from flint.merchants.settings import section_of
from flint.messages.kinds import Row
from orders.models import Order
from payments.checkout.summary import lines_of
from payments.models import CheckoutSession, PaymentIntent

BRANDS = {"amex": "American Express", "jcb": "JCB", "unionpay": "UnionPay", "diners": "Diners Club"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was sold, how it comes to what was paid, and how and when it was."""

    paid: str
    lines: Sequence[Row]
    sums: Sequence[Row]
    facts: Sequence[Row]
    footer: str = ""


def is_available(order: Order) -> bool:
    """Whether there is a receipt: nothing more is owed, and something was paid or waived in a settlement."""
    return order.payment_status == "paid"


def receipt_of(order: Order, language: Language) -> Receipt:
    """Return the receipt of a paid order, whose environment and merchant are at hand."""
    return Receipt(
        paid=language.money(order.money(order.paid_amount)),
        lines=[] if order.is_hidden else lines_of(order, language),
        sums=_sums(order, language),
        facts=_facts(order, language),
        footer=section_of(order.environment_id, "receipts")["footer"] or "",
    )


def _sums(order: Order, language: Language) -> list[Row]:
    say = language.say

    def row(label: str, amount: int, **options: Any) -> list[Row]:
        return [Row(label, language.money(order.money(amount)), **options)] if amount else []

    applied = order.discounts.filter(applied_amount__gt=0).order_by("position")
    rows = [each for discount in applied for each in row(discount.name, -discount.applied_amount)]
    included = say("included") if order.inclusive_tax_amount and not order.tax_amount else ""
    rows += row(say("Tax"), order.tax_amount + order.inclusive_tax_amount, detail=included)
    rows += row(say("Tip"), order.tip_amount)
    rows.append(Row(say("Total"), language.money(order.money(order.total_amount)), is_strong=True))
    rows += row(say("Refunded"), -order.refunded_amount)
    rows += row(say("Refund on its way"), -order.refund_pending_amount)
    return rows


def _facts(order: Order, language: Language) -> list[Row]:
    say, zone = language.say, zone_of(order)
    legs = list(order.payment_intents.filter(captured_amount__gt=0).order_by("captured_at", "id"))
    rows = []
    for leg in legs:
        amount = language.money(order.money(leg.captured_amount)) if len(legs) > 1 else ""
        rows.append(Row(say("Paid with"), paid_with(leg, language), detail=amount))
    if paid_at := _paid_at(order, legs):
        rows.append(Row(say("Date"), language.time(paid_at, zone)))
    rows.append(Row(say("Order"), order.order_number))
    rows.append(Row(say("Paid to"), str(order.environment.merchant)))
    return rows


def _paid_at(order: Order, legs: Sequence[PaymentIntent]) -> datetime | None:
    """Return when the last money came in; a settlement without any has its attempt alone."""
    if legs:
        return legs[-1].captured_at
    ended = order.payment_attempts.filter(completed_at__isnull=False).order_by("-completed_at", "-id")
    return ended.values_list("completed_at", flat=True).first()


def paid_with(leg: PaymentIntent, language: Language) -> str:
    """Name what a buyer paid with as they know it: ``Visa •••• 4242``."""
    brand = BRANDS.get(leg.source_brand, leg.source_brand.replace("_", " ").title())
    is_bank = leg.source_type == "ach_debit"
    name = leg.source_bank_name or brand or (language.say("Bank account") if is_bank else language.say("Card"))
    return f"{name} •••• {leg.source_last4}" if leg.source_last4 else name


def zone_of(order: Order) -> tzinfo:
    """Return the buyer's time zone if a checkout learnt it, else the merchant's own."""
    sessions = CheckoutSession.objects.filter(order_id=order.id).exclude(timezone="")
    known = sessions.order_by("-created_at", "-id").values_list("timezone", flat=True).first()
    return zoneinfo.ZoneInfo(known or order.environment.merchant.reporting_timezone)
