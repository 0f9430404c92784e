"""Who the buyer has shown to be, and what that opens: the cards that they saved, and saving the one they pay with."""

from collections.abc import Sequence
from dataclasses import dataclass

from flint.actors import Actor
from flint.languages import Language
from orders.models import Customer
from payments.messages.receipts import BRANDS
from payments.models import CheckoutSession, PaymentMethod
from payments.services.sessions.saving import offers_saving


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card that may be chosen: how it is named in the form, and how its owner knows it."""

    id: str
    name: str
    until: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is offered to those who save cards. Without an ``email`` nobody has shown yet who they are."""

    email: str = ""
    cards: Sequence[SavedCard] = ()


def known_of(session: CheckoutSession, buyer: Actor, language: Language) -> Known | None:
    """Return what a buyer is offered; None where no cards are saved."""
    if not offers_saving(session):
        return None
    if not buyer.customer_id:
        return Known()
    email = Customer.objects.values_list("email", flat=True).get(id=buyer.customer_id)
    processor = session.environment.processor
    methods = PaymentMethod.objects.of(buyer).filter(processor=processor).order_by("-created_at", "-id")
    cards = [
        SavedCard(method.id, _name(method, language), f"{method.exp_month:02}/{method.exp_year % 100:02}")
        for method in methods[:MOST_CARDS]
        if method.exp_year
    ]
    return Known(email, cards)


MOST_CARDS = 10


def _name(method: PaymentMethod, language: Language) -> str:
    brand = BRANDS.get(method.brand, method.brand.title()) or language.say("Card")
    return f"{brand} \u2022\u2022\u2022\u2022 {method.last4}"
