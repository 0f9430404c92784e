"""Keeping a card that its buyer paid with and wished to use again."""

from flint.actors import Actor
from flint.events import services as events
from payments.models import PaymentIntent, PaymentMethod
from payments.models.methods import Usage
from payments.processors.base import PaymentState


def keep_card(leg: PaymentIntent, state: PaymentState, *, actor: Actor) -> None:
    """
    Save the card of a leg that has succeeded, for the customer that it was to be kept for; once only.

    It is called under the order's lock, with whatever the processor says of the payment from then on: that the card was
    kept may become known later than that it paid.
    """
    if not leg.kept_for_id or not state.kept_token or leg.payment_method_id or leg.status != "succeeded":
        return
    known = PaymentMethod.objects.filter(
        environment_id=leg.environment_id, processor=leg.processor, reference=state.kept_token
    )
    method = known.order_by("id").first()
    if method is None:
        method = PaymentMethod(
            environment_id=leg.environment_id,
            customer_id=leg.kept_for_id,
            processor=leg.processor,
            usage=Usage.ON_SESSION,
            reference=state.kept_token,
            customer_reference=state.customer_reference,
        )
        if source := state.source:
            method.brand, method.last4 = source.brand, source.last4
            method.exp_month, method.exp_year = source.exp_month, source.exp_year
        method.activate()
        method.save(force_insert=True)
        tell_saved(method, actor=actor)
    leg.payment_method = method


def customer_reference_of(customer_id: str, processor: str) -> str:
    """Return the processor's name for a customer, as far as one is known."""
    known = PaymentMethod.objects.filter(customer_id=customer_id, processor=processor).exclude(customer_reference="")
    return known.order_by("-created_at", "-id").values_list("customer_reference", flat=True).first() or ""


def tell_saved(method: PaymentMethod, *, actor: Actor) -> None:
    """Remember that a card was saved."""
    events.record_apart(
        method.environment_id,
        "payment_method.saved",
        subject=method,
        actor=actor,
        customer_id=method.customer_id,
        status=method.status,
        usage=method.usage,
        card_brand=method.brand,
        card_last4=method.last4,
        card_exp_month=method.exp_month,
        card_exp_year=method.exp_year,
    )
