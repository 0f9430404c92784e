"""Dealing with refunds that failed: try again, note that the customer was paid otherwise, or set it aside."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from orders.models import Order
from refunds.models import Handling, R, Refund, RefundLeg
from refunds.services.composing import Composer
from refunds.services.create_refund import promise
from refunds.services.credit_notes import refuse_more_than_credited, tell_note

MAX_NOTE = 500


class RefundNotFailed(Conflict):
    code = "REFUND_NOT_FAILED"
    message = "Nothing of this refund failed, or somebody has dealt with that already."


class RefundNoteRequired(InvalidInput):
    code = "REFUND_NOTE_REQUIRED"
    message = f"Say how or why, in at most {MAX_NOTE} characters."


def try_again(refund_id: str, *, actor: Actor) -> Refund:
    """
    Promise what failed of a refund once more, as a new refund of the same parts through the same payments.

    :raises RefundNotFound: if it is absent or foreign. :raises RefundNotFailed: if there is nothing to try again.
    :raises RefundCannotBeRepeated: if not all of it is left any more. :raises PaymentIntentNotRefundable: and others.
    :raises CreditNoteRefundExceedsBalance: if the credit note it gave back by has been used otherwise since.
    """
    with _handling(refund_id, actor) as (order, refund):
        legs = _failed(refund)
        if refund.credit_note is not None:
            refuse_more_than_credited(refund.credit_note, sum(leg.amount for leg in legs))
        composer = Composer(order, operation_ids=[leg.operation_id for leg in legs])
        composition = composer.compose_again(legs, effect=refund.balance_effect)
        again = Refund(
            balance_effect=refund.balance_effect,
            origin=refund.origin if refund.origin == "surplus" else "flint",
            reason=refund.reason,
            reason_message=refund.reason_message,
            external_reference_id=refund.external_reference_id,
            metadata=refund.metadata,
            credit_note=refund.credit_note,
        )
        promise(order, again, composition, actor=actor, again_for=refund.id)
        tell_note(order, again, actor=actor)
        _note(order, refund, Handling.TRIED_AGAIN, actor, tried_again_as=again)
    return again


def note_paid_outside(refund_id: str, *, note: str, actor: Actor) -> Refund:
    """
    Note that the customer got the money in another way, which Flint has no part in: no amount of the order moves.

    :raises RefundNotFound, RefundNotFailed: as :func:`try_again`. :raises RefundNoteRequired: without saying how.
    """
    return _end(refund_id, Handling.PAID_OUTSIDE, note, actor)


def set_aside(refund_id: str, *, note: str, actor: Actor) -> Refund:
    """
    Take a failed refund off the work list: the money stays here.

    :raises RefundNotFound, RefundNotFailed: as :func:`try_again`. :raises RefundNoteRequired: without saying why.
    """
    return _end(refund_id, Handling.SET_ASIDE, note, actor)


def _end(refund_id: str, handling: Handling, note: str, actor: Actor) -> Refund:
    if not 0 < len(note.strip()) <= MAX_NOTE or "\0" in note:
        raise RefundNoteRequired(param="note")
    with _handling(refund_id, actor) as (order, refund):
        _note(order, refund, handling, actor, text=note.strip())
    return refund


@contextmanager
def _handling(refund_id: str, actor: Actor) -> Iterator[tuple[Order, Refund]]:
    """Lock the order of a failed refund."""
    with transaction.atomic():
        order_id = Refund.objects.of(actor).find(id=refund_id).order_id
        order = Order.objects.behind(actor).select_related("environment").lock(id=order_id)
        refund = Refund.objects.of(actor).find(id=refund_id)
        if not refund.is_undone:
            raise RefundNotFailed(current_status=refund.status)
        yield order, refund


def _failed(refund: Refund) -> list[RefundLeg]:
    legs = refund.legs.filter(status__in=[R.FAILED, R.CANCELED], is_handled=False)
    return list(legs.order_by("position").prefetch_related("allocations", "adjustments"))


def _note(
    order: Order,
    refund: Refund,
    handling: Handling,
    actor: Actor,
    *,
    tried_again_as: Refund | None = None,
    text: str = "",
) -> None:
    legs = _failed(refund)
    refund.legs.filter(id__in=[leg.id for leg in legs]).update(is_handled=True, updated_at=timezone.now())
    refund.handle(handling, at=timezone.now(), tried_again_as=tried_again_as)
    refund.save(update_fields=["handled_at", "handling", "tried_again_as", "updated_at"])
    order.order_revision += 1
    events.record(
        order,
        "refund.handled",
        subject=refund,
        actor=actor,
        amount=sum(leg.amount for leg in legs),
        handling=handling,
        text=text,
        tried_again_as=tried_again_as.id if tried_again_as else "",
    )
    order.save()
