"""Beginning to save a card: write it down, call the processor, record the answer; a repeat goes on with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Unavailable
from flint.events import services as events
from orders.models import Customer
from payments.models import PaymentMethod, PaymentMethodSetup
from payments.models.methods import M
from payments.processors import processor_of
from payments.processors.base import NoAnswer, Refused, SetupRequest, SetupState, Unreachable
from payments.services.attempts import FIRST_CHECK_AFTER
from payments.services.keeping import customer_reference_of
from payments.services.methods.recording import record_setup, record_setup_refusal
from payments.services.starting import IdempotencyKeyReused, processor_name


class PaymentMethodUnanswered(Unavailable):
    code = "PAYMENT_PROCESSOR_UNAVAILABLE"
    message = "The payment processor did not answer. Repeat the request with its Idempotency-Key to go on with it."


@dataclass(frozen=True, slots=True)
class Saved:
    """A payment method, and, as long as the buyer has to hand in a card for it, how that is done."""

    method: PaymentMethod
    setup: SetupState | None


def save_method(*, data: Mapping[str, Any], actor: Actor) -> Saved:
    """
    Begin to save a card of a customer; the buyer's browser goes on with what the processor gives.

    A repeat of the request that began one returns that one, with the same secret. What the processor refuses is an
    ordinary result: the method is ``failed``.

    :raises CustomerNotFound: if the customer is absent or foreign. :raises ProcessorNotConfigured: if none saves cards.
    :raises PaymentMethodUnanswered: if it was not reached or did not answer; a repeat, or the sweep, goes on.
    """
    setup = _write_down(data["customer_id"], actor)
    method = setup.payment_method
    if method.status != M.PENDING:
        return Saved(method, None)
    try:
        state = _ask_for(setup)
    except Refused as refusal:
        record_setup_refusal(setup.id, code=refusal.code, message=refusal.message, actor=actor)
        return Saved(PaymentMethod.objects.of(actor).find(id=method.id), None)
    except (Unreachable, NoAnswer):
        raise PaymentMethodUnanswered from None
    method = record_setup(state, actor=actor)
    return Saved(method, state if method.status == M.PENDING else None)


def _write_down(customer_id: str, actor: Actor) -> PaymentMethodSetup:
    with transaction.atomic(durable=True):
        customer = Customer.objects.of(actor).lock(id=customer_id)
        if repeated := _repeated(actor):
            return repeated
        now = timezone.now()
        processor = processor_name(actor)
        method = PaymentMethod(
            environment_id=customer.environment_id,
            customer=customer,
            processor=processor,
            customer_reference=customer_reference_of(customer.id, processor),
        )
        method.save(force_insert=True)
        setup = PaymentMethodSetup(
            environment_id=customer.environment_id,
            payment_method=method,
            command_key=actor.command.key if actor.command else "",
            command_digest=actor.command.digest if actor.command else "",
            next_check_at=now + FIRST_CHECK_AFTER,
        )
        setup.save(force_insert=True)
        events.record_apart(
            customer.environment_id,
            "payment_method.created",
            subject=method,
            actor=actor,
            customer_id=customer.id,
            usage=method.usage,
        )
    return setup


def _repeated(actor: Actor) -> PaymentMethodSetup | None:
    if actor.command is None:
        return None
    made = PaymentMethodSetup.objects.of(actor).filter(command_key=actor.command.key)
    setup = made.select_related("payment_method").order_by("created_at", "id").first()
    if setup and setup.command_digest != actor.command.digest:
        raise IdempotencyKeyReused
    return setup


def _ask_for(setup: PaymentMethodSetup) -> SetupState:
    """Return the setup at the processor, begun now unless it was before."""
    method = setup.payment_method
    processor = processor_of(method.processor)
    if setup.reference:
        state = processor.retrieve_setup(environment_id=setup.environment_id, reference=setup.reference)
        if state is not None and state.client_secret:
            return state
    return processor.begin_setup(
        SetupRequest(
            operation_id=setup.id,
            payment_method_id=method.id,
            environment_id=setup.environment_id,
            customer_id=method.customer_id,
            customer_reference=method.customer_reference,
            usage=method.usage,
        )
    )
