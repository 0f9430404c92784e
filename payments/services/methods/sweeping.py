"""What happens to payment methods by themselves: answers that were lost, cards that run out, cards to be forgotten."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.events import services as events
from payments.models import PaymentMethod, PaymentMethodSetup
from payments.models.intents import UNDER_WAY
from payments.models.methods import M
from payments.processors import processor_of
from payments.processors.base import ProcessorError
from payments.services.asking import UNKNOWN_DEADLINE
from payments.services.attempts import FIRST_CHECK_AFTER
from payments.services.methods.recording import look_again_later, record_setup, record_setup_refusal

log = structlog.get_logger(__name__)

BATCH = 200

DETACH_AGAIN_AFTER = timedelta(minutes=1)
"""How long a processor that did not forget a card is let be."""


def sweep_methods(*, at: datetime | None = None) -> int:
    """
    Ask about cards that are being saved, expire those that ran out, have removed ones forgotten. Return how many.

    One bad row never stops the rest: it is logged and comes up again.
    """
    at = at or timezone.now()
    setups = PaymentMethodSetup.objects.filter(next_check_at__lte=at).order_by("next_check_at")
    removed = PaymentMethod.objects.filter(detach_at__lte=at).order_by("detach_at")
    return (
        _each(setups, ask_about_setup, at, next_check_at=at + FIRST_CHECK_AFTER)
        + _each(_run_out(at), expire, at)
        + _each(removed, detach, at, detach_at=at + DETACH_AGAIN_AFTER)
    )


def ask_about_setup(setup_id: str, *, actor: Actor, at: datetime | None = None) -> None:
    """Ask what became of a setup and record it; one that never arrived is given up once its deadline has passed."""
    at = at or timezone.now()
    setup = PaymentMethodSetup.objects.of(actor).select_related("payment_method").find(id=setup_id)
    processor = processor_of(setup.payment_method.processor)
    environment_id = setup.environment_id
    try:
        if setup.reference:
            state = processor.retrieve_setup(environment_id=environment_id, reference=setup.reference)
        else:
            state = processor.find_setup(environment_id=environment_id, operation_id=setup.id, since=setup.created_at)
    except ProcessorError:
        look_again_later(setup_id, actor=actor, at=at)
        return
    if state is not None:
        record_setup(state, actor=actor, at=at)
    elif at - setup.created_at < UNKNOWN_DEADLINE:
        look_again_later(setup_id, actor=actor, at=at)
    else:
        message = "The payment processor has no record of this card. Save it again."
        record_setup_refusal(setup_id, code="payment_failed", message=message, actor=actor, at=at)


def expire(payment_method_id: str, *, actor: Actor, at: datetime) -> None:
    """Let a payment method whose card has run out be charged no more."""
    with transaction.atomic():
        method = PaymentMethod.objects.of(actor).lock(id=payment_method_id)
        if method.status != M.ACTIVE or not method.has_run_out(at):
            return
        method.expire()
        method.save()
        events.record_apart(
            method.environment_id,
            "payment_method.expired",
            subject=method,
            actor=actor,
            customer_id=method.customer_id,
        )


def detach(payment_method_id: str, *, actor: Actor, at: datetime | None = None) -> None:
    """
    Have the processor forget a removed card. While a payment with it is under way, or the processor is out of reach,
    it is left to the sweep.
    """
    method = PaymentMethod.objects.of(actor).find(id=payment_method_id)
    if method.detach_at is None or method.payment_intents.filter(status__in=UNDER_WAY).exists():
        return
    try:
        processor_of(method.processor).detach(
            environment_id=method.environment_id, token=method.reference, operation_id=method.id
        )
    except ProcessorError as error:
        log.warning("method.not_detached", payment_method_id=method.id, error=str(error))
        return
    # Nothing else changes it any more, and that the processor forgot it is nothing that a merchant sees change.
    PaymentMethod.objects.filter(id=method.id).update(detach_at=None)


def _run_out(at: datetime) -> QuerySet:
    before = Q(exp_year__lt=at.year) | Q(exp_year=at.year, exp_month__lt=at.month)
    return PaymentMethod.objects.filter(before, status=M.ACTIVE).order_by("exp_year", "exp_month", "id")


def _each(due: QuerySet, act: Callable[..., None], at: datetime, **later: datetime) -> int:
    """Act on what is due; whatever comes of it, the next turn is for others first: ``later`` is when theirs is."""
    found = list(due.values_list("id", "environment_id")[:BATCH])
    if later:
        due.model.objects.filter(id__in=[row_id for row_id, _ in found]).update(**later)
    for row_id, environment_id in found:
        try:
            act(row_id, actor=actors.system(environment_id, "Sweep"), at=at)
        except Exception:
            log.exception("sweep.failed", subject=row_id)
    return len(found)
