"""
Learning what became of a card that was to be saved. Answers, notices and the sweep all come through
:func:`record_setup`, so that whoever learns a fact first keeps it, and everybody later finds it kept.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.celery import after_commit
from flint.events import services as events
from payments import tasks
from payments.models import PaymentMethod, PaymentMethodSetup
from payments.models.methods import M
from payments.processors.base import DoesNotFit, SetupState
from payments.services.attempts import FIRST_CHECK_AFTER
from payments.services.keeping import tell_saved

SLOWEST_CHECK = timedelta(hours=1)

BUYER_HAS = timedelta(hours=24)
"""How long a buyer may take to hand in a card. Should one be saved even later, that counts all the same."""


def record_setup(
    state: SetupState, *, actor: Actor, at: datetime | None = None, also: Callable[[], None] | None = None
) -> PaymentMethod:
    """
    Apply a setup's state at the processor to its payment method; a state already known changes nothing.

    ``also`` runs in the same transaction, for the caller's own mark that the fact is dealt with.

    :raises DoesNotFit: if the state names no setup of the actor's environment, or another method.
    """
    at = at or timezone.now()
    with transaction.atomic():
        setup = _locked(state.operation_id, actor)
        _refuse_foreign(state, setup)
        setup.reference, setup.result = state.reference, state.status
        if state.status == "succeeded":
            _keep(setup, state, actor, at)
        elif state.error_code or state.status in ("failed", "canceled"):
            code = state.error_code or ("payment_not_completed" if state.status == "canceled" else "payment_failed")
            _decline(setup, code, state.error_message, actor)
        _plan_check(setup, at, is_over=state.status in ("succeeded", "canceled"))
        _give_up(setup, actor, at)
        setup.save()
        if also:
            also()
    return setup.payment_method


def record_setup_refusal(
    setup_id: str, *, code: str, message: str, actor: Actor, at: datetime | None = None
) -> PaymentMethod:
    """Keep that the processor did not begin to save the card; returns quietly if it turned out to have begun."""
    at = at or timezone.now()
    with transaction.atomic():
        setup = _locked(setup_id, actor)
        if not setup.reference:
            setup.result = "refused"
            _decline(setup, code, message, actor)
            _plan_check(setup, at, is_over=True)
            setup.save()
    return setup.payment_method


def look_again_later(setup_id: str, *, actor: Actor, at: datetime) -> None:
    """Set when the sweep looks at a setup again whose processor could not be asked."""
    with transaction.atomic():
        setup = _locked(setup_id, actor)
        _plan_check(setup, at, is_over=setup.next_check_at is None)
        setup.save()


def _locked(setup_id: str, actor: Actor) -> PaymentMethodSetup:
    """Lock a setup's method, the one door to both, and return the setup with it."""
    methods = PaymentMethod.objects.of(actor).select_for_update(of=("self",))
    method = methods.filter(setup__id=setup_id).order_by("id").first() if setup_id else None
    if method is None:
        raise DoesNotFit(f"no setup {setup_id or '(none named)'} in {actor.environment_id}")
    setup = PaymentMethodSetup.objects.get(id=setup_id)
    setup.payment_method = method
    return setup


def _refuse_foreign(state: SetupState, setup: PaymentMethodSetup) -> None:
    if state.environment_id != setup.environment_id or state.payment_method_id != setup.payment_method_id:
        raise DoesNotFit(f"{state.reference} names another environment or payment method")
    if setup.reference and setup.reference != state.reference:
        raise DoesNotFit(f"{state.reference} is not the setup {setup.reference} that this call began")


def _keep(setup: PaymentMethodSetup, state: SetupState, actor: Actor, at: datetime) -> None:
    method = setup.payment_method
    if method.reference:
        return
    if not state.token:
        raise DoesNotFit(f"{state.reference} succeeded but names no card")
    same_card = PaymentMethod.objects.filter(
        environment_id=method.environment_id, processor=method.processor, reference=state.token
    )
    if same_card.exists():
        _decline(setup, "payment_method_unavailable", "This card is saved as another payment method already.", actor)
        return
    method.reference, method.customer_reference = state.token, state.customer_reference
    if source := state.source:
        method.brand, method.last4 = source.brand, source.last4
        method.exp_month, method.exp_year = source.exp_month, source.exp_year
    if method.status == M.REMOVED:
        # It was given up before the buyer was done with it, so nobody wants it kept at the processor.
        method.detach_at = at
        method.save()
        after_commit(tasks.detach_method, payment_method_id=method.id, environment_id=method.environment_id)
        return
    setup.error_code = setup.error_message = ""
    method.activate()
    method.save()
    tell_saved(method, actor=actor)


def _decline(setup: PaymentMethodSetup, code: str, message: str, actor: Actor) -> None:
    method = setup.payment_method
    if method.status not in (M.PENDING, M.FAILED):
        return
    setup.error_code, setup.error_message = code, message
    if method.status == M.FAILED:
        return
    method.fail()
    method.save()
    events.record_apart(
        method.environment_id,
        "payment_method.failed",
        subject=method,
        actor=actor,
        customer_id=method.customer_id,
        status=method.status,
        failure_code=code,
        failure_message=message or code.replace("_", " "),
    )


def _plan_check(setup: PaymentMethodSetup, at: datetime, *, is_over: bool) -> None:
    """Set when the sweep looks again: soon at first, then ever later, and not at all once nothing can come."""
    if is_over:
        setup.next_check_at = None
        return
    setup.checks += 1
    setup.next_check_at = at + min(FIRST_CHECK_AFTER * 2 ** min(setup.checks, 12), SLOWEST_CHECK)


def _give_up(setup: PaymentMethodSetup, actor: Actor, at: datetime) -> None:
    if setup.next_check_at is None or at - setup.created_at < BUYER_HAS:
        return
    setup.next_check_at = None
    _decline(setup, "payment_action_expired", "The buyer did not hand in a card in time.", actor)
