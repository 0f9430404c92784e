"""What messages about payments say."""

from django.utils import timezone

from flint import actors
from flint.errors import Conflict
from flint.languages import Language, phrase
from flint.merchants.models import Merchant
from flint.messages.kinds import Letter, Row, Unneeded, says
from flint.messages.models import Message
from payments.checkout.summary import lines_of, sums_of
from payments.checkout.words import decline_text
from payments.messages.addresses import receipt_url
from payments.messages.receipts import is_available, paid_with, receipt_of
from payments.models import CustomerVerification, PayLink, PaymentIntent, PaymentOperation
from payments.services.links.recovery import create_pay_link

QUESTIONS = phrase("If you have a question, answer this message or write to {address}.")


@says("receipt", label="Receipt", setting="receipts")
def receipt(message: Message, language: Language) -> Letter:
    """Say what was bought and paid."""
    order, say = message.order, language.say
    if not is_available(order):
        raise Unneeded("not_paid")
    shown = receipt_of(order, language)
    merchant = order.environment.merchant
    return Letter(
        subject=say("Your receipt from {merchant}: {amount}", merchant=merchant, amount=shown.paid),
        heading=say("Thank you, your order is paid"),
        text=[say("We received {amount}.", amount=shown.paid)],
        lines=shown.lines,
        sums=shown.sums,
        facts=shown.facts,
        button=say("Show the receipt"),
        url=receipt_url(order, language),
        closing=[*shown.footer.splitlines(), questions(message, language)],
    )


@says("payment_failed", label="Payment failed", setting="failed_payments")
def payment_failed(message: Message, language: Language) -> Letter:
    """Say that a bank debit did not work after all, and how the order can still be paid."""
    order, say = message.order, language.say
    operation = PaymentOperation.objects.select_related("payment_intent").get(id=message.source_id)
    if not order.outstanding_amount or order.is_hidden:
        url, button = "", ""
    else:
        url, button = _pay_url(message), say("Pay another way")
    leg: PaymentIntent = operation.payment_intent
    amount = language.money(leg.money)
    return Letter(
        subject=say("Your payment to {merchant} did not go through", merchant=order.environment.merchant),
        heading=say("Your payment did not go through"),
        text=[
            say("Your bank did not carry out the debit of {amount}.", amount=amount),
            decline_text(language, operation.error_code),
        ],
        facts=[
            Row(say("Amount"), amount),
            Row(say("Account"), paid_with(leg, language)),
            Row(say("Order"), order.order_number),
        ],
        button=button if url else "",
        url=url,
        closing=[questions(message, language)],
    )


@says("pay_link", label="Pay link")
def pay_link(message: Message, language: Language) -> Letter:
    """Say what is still owed, and where it can be paid."""
    order, say = message.order, language.say
    link = PayLink.objects.get(id=message.source_id)
    if order.status != "open" or not order.outstanding_amount:
        raise Unneeded("nothing_owed")
    amount = language.money(order.outstanding_money)
    merchant = order.environment.merchant
    return Letter(
        subject=say("{merchant} asks for {amount}", merchant=merchant, amount=amount),
        heading=say("{amount} to pay", amount=amount),
        text=[
            say("{merchant} sends you this link to pay for your order {number}.", merchant=merchant, number=order)
            + " "
            + say("It always asks for what is still owed, and never for more.")
        ],
        lines=lines_of(order, language),
        sums=sums_of(order, language),
        button=say("Pay {amount}", amount=amount),
        url=link.url,
        closing=[
            say("If you have paid already, there is nothing to do."),
            questions(message, language),
        ],
    )


@says("abandoned_checkout", label="Abandoned checkout")
def abandoned_checkout(message: Message, language: Language) -> Letter:
    """Say once to a buyer who left that their order is still there."""
    order, say, merchant = message.order, language.say, message.order.environment.merchant
    if order.status != "open" or order.has_settled or not order.outstanding_amount or order.is_collecting:
        raise Unneeded("nothing_owed")
    amount = language.money(order.outstanding_money)
    return Letter(
        subject=say("Your order at {merchant} is still there", merchant=merchant),
        heading=say("You can still pay for your order"),
        text=[say("You began to pay at {merchant} and left. Nothing was charged.", merchant=merchant)],
        lines=lines_of(order, language),
        sums=sums_of(order, language),
        button=say("Pay {amount}", amount=amount),
        url=_pay_url(message),
        closing=[
            say("If you do not want it any more, there is nothing to do: we do not write about it again."),
            questions(message, language),
            address_text(merchant),
        ],
    )


@says("verification_code", label="Code")
def verification_code(message: Message, language: Language) -> Letter:
    """Give a buyer the code that shows whose checkout it is."""
    say, merchant = language.say, message.order.environment.merchant
    verification = CustomerVerification.objects.get(id=message.source_id)
    if verification.code is None or verification.expires_at <= timezone.now():
        raise Unneeded("not_wanted_any_more")
    code = verification.code.reveal()
    return Letter(
        subject=say("{code} is your code for {merchant}", code=code, merchant=merchant),
        heading=code,
        text=[
            say("Enter this code on the page where you pay, to use a card that you saved there, or to save one."),
            say("It is good for 15 minutes. Nobody of us will ever ask you for it."),
        ],
        closing=[say("If you did not ask for it, there is nothing to do: without the code nobody gets any further.")],
    )


def questions(message: Message, language: Language) -> str:
    """Say whom to ask."""
    merchant = message.order.environment.merchant
    return language.say(QUESTIONS, address=merchant.support_email or merchant.email)


def address_text(merchant: Merchant) -> str:
    """Return who writes and where they are, on one line."""
    address = merchant.address or {}
    place = " ".join(address[name] for name in ("postal_code", "city") if address.get(name))
    parts = [str(merchant), address.get("line1"), address.get("line2"), place, address.get("state")]
    return ", ".join(part for part in [*parts, address.get("country")] if part)


def _pay_url(message: Message) -> str:
    """Return an address to pay the rest of the order: the newest there is, or a new one; none if it is closed."""
    known = PayLink.objects.filter(order_id=message.order_id).order_by("-created_at", "-id").first()
    if known is not None and message.order.status == "open":
        return known.url
    try:
        actor = actors.system(message.environment_id, "Messages")
        return create_pay_link(order_id=message.order_id, actor=actor).url
    except Conflict:
        return ""
