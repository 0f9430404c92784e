"""What the page shows: worked out from the session and its order as they are at that moment, and from nothing else."""

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flint.actors import Actor
from flint.languages import Language
from flint.money import Money
from orders.models import Order
from payments.models import CheckoutSession, PaymentAttempt
from payments.models.sessions import SessionStatus, TerminalReason
from payments.services.attempts import confirms_of

REFRESH_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a summary: what, how much, and a word beside it."""

    label: str
    money: str
    detail: str = ""
    is_strong: bool = False


@dataclass(slots=True)
class Page:
    """One state of the page. ``state`` names the part of the template that is shown."""

    state: str
    language: Language
    session: CheckoutSession
    order: Order
    lines: Sequence[Row] = ()
    sums: Sequence[Row] = ()
    title: str = ""
    words: str = ""
    error: str = ""
    refresh: int = 0
    action: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The amount that the page is about: what is owed, or what was paid once nothing is."""
        if self.state == "paid":
            return self.language.money(self.order.money(self.order.net_collected_amount))
        return self.outstanding

    @property
    def outstanding(self) -> str:
        """What is still owed, for people."""
        return self.language.money(self.order.outstanding_money)


def page_of(session: CheckoutSession, buyer: Actor | None, language: Language) -> Page:
    """Return the page as it is now for the buyer who was let in."""
    order = session.order
    page = Page("open", language, session, order, lines=_lines(order, language), sums=_sums(order, language))
    attempt = _own_attempt(session)
    if session.is_open or (buyer and buyer.only_attempt_id):
        _go_on(page, attempt)
    if page.state == "open" and not session.is_open:
        _ended(page)
    return page


def _go_on(page: Page, attempt: PaymentAttempt | None) -> None:
    order, say = page.order, page.language.say
    if order.active_attempt_id and (attempt is None or attempt.id != order.active_attempt_id):
        page.state, page.refresh = "elsewhere", REFRESH_SECONDS
        page.title = say("Somebody is paying this order right now")
        page.words = say("It is open in another window or on another device. This page follows by itself.")
        return
    if attempt is None or not attempt.is_open:
        if attempt is not None and attempt.status == "failed":
            page.error = decline_text(page.language, attempt.failure_code)
        return
    if attempt.status == "requires_action":
        waiting = next(operation for operation in confirms_of(attempt) if operation.action)
        page.state, page.action = "confirm", waiting.buyer_action
        page.title = say("Your bank wants to know that it is you")
        page.words = say("Confirm the payment of {amount} with your bank to finish.", amount=page.outstanding)
        return
    legs = [operation.payment_intent for operation in confirms_of(attempt)]
    if attempt.status == "requires_capture":
        page.state = "held"
        page.title = say("Your payment is reserved")
        page.words = say("The merchant takes the money later. There is nothing more to do for you.")
    elif any(leg.source_type == "ach_debit" and leg.status == "processing" for leg in legs):
        page.state = "debit"
        page.title = say("Your bank is processing the payment")
        page.words = say("That takes up to four working days. You need not wait here; please do not pay again.")
    else:
        page.state, page.refresh = "processing", REFRESH_SECONDS
        page.title = say("We are waiting for your bank")
        page.words = say("This takes a moment. The page follows by itself; please do not pay again.")


def _ended(page: Page) -> None:
    session, order, say = page.session, page.order, page.language.say
    paid = order.has_settled and not order.outstanding_amount
    if session.status == SessionStatus.PAID or (paid and session.status != SessionStatus.CLOSED):
        page.state = "paid"
        page.title = say("Thank you, your payment arrived")
        page.words = say("{amount} were paid.", amount=page.language.money(order.money(order.net_collected_amount)))
    elif session.status == SessionStatus.PARTIALLY_PAID:
        page.state = "partly"
        page.title = say("A part of your order is paid")
        page.words = say("{amount} are still owed. The merchant sends you a new link.", amount=page.outstanding)
    elif session.terminal_reason == TerminalReason.ORDER_MUTATED:
        page.state = "ended"
        page.title = say("The order was changed")
        page.words = say("The merchant changed it while this page was open. Ask for a new link to pay it.")
    elif session.terminal_reason == TerminalReason.SUPERSEDED:
        page.state = "ended"
        page.title = say("There is a newer link")
        page.words = say("The merchant sent another link for this order. Please use that one.")
    elif session.status == SessionStatus.EXPIRED:
        page.state = "expired"
        page.title = say("This page has expired")
        page.words = say("Nothing was charged. Ask the merchant for a new link.")
    else:
        page.state = "ended"
        page.title = say("This checkout is closed")
        page.words = say("Nothing more can be paid here. The merchant helps you with any question.")


def receipt_of(page: Page) -> dict[str, str]:
    """Return what a buyer recognises the payment by: what was paid with, and when."""
    leg = page.order.payment_intents.filter(captured_amount__gt=0).order_by("-captured_at", "-id").first()
    if leg is None:
        return {}
    name = leg.source_bank_name or leg.source_brand.capitalize()
    zone = zoneinfo.ZoneInfo(page.session.timezone or page.session.environment.merchant.reporting_timezone)
    return {"source": f"{name} •••• {leg.source_last4}", "time": page.language.time(leg.captured_at, zone)}


def _own_attempt(session: CheckoutSession) -> PaymentAttempt | None:
    return session.payment_attempts.order_by("-created_at", "-id").first()


def _lines(order: Order, language: Language) -> list[Row]:
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


def _sums(order: Order, language: Language) -> list[Row]:
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
    if order.net_collected_amount or order.credit_amount:
        rows.append(Row(say("To pay now"), money(order.outstanding_money), is_strong=True))
    return rows


def changed_text(language: Language, before: Money, now: Money) -> str:
    """Say that the total changed while the buyer looked at the page."""
    return language.say(
        "The total changed from {before} to {now} while this page was open. Please check it and pay again.",
        before=language.money(before),
        now=language.money(now),
    )


def decline_text(language: Language, code: str) -> str:
    """Say why a payment did not work, and what to do, in words for a buyer."""
    sentences = {
        "card_declined": "Your bank declined the card. Try another card, or ask your bank.",
        "insufficient_funds": "There is not enough money on the card. Try another one.",
        "expired_card": "The card has expired. Try another one.",
        "incorrect_cvc": "The security code is not right. Check it and try again.",
        "authentication_required": "Your bank did not recognise you. Nothing was charged. Try again, or another card.",
        "processing_error": "Something went wrong at the bank and nothing was charged. Try again in a moment.",
        "payment_attempt_canceled": "You stopped the payment. Nothing was charged.",
    }
    text = sentences.get(
        code, "The payment did not go through and nothing was charged. Try again, or another way to pay."
    )
    return language.say(text)
