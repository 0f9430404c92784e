"""Recording what happened. There is one way in, and no way to change or forget."""

from collections.abc import Sequence
from typing import Any, Protocol

import structlog
from django.db import models, transaction

from flint.actors import Actor
from flint.celery import after_commit_once
from flint.events import tasks
from flint.events.models import Event

log = structlog.get_logger(__name__)


class Remembered(Protocol):
    """What an order shows of itself to be remembered by: amounts in minor units, and how many events it has."""

    id: str
    environment_id: str
    currency: str
    event_count: int
    told_balance_amount: int
    total_amount: int
    paid_amount: int
    refunded_amount: int
    refund_pending_amount: int
    credit_amount: int
    charged_back_amount: int
    balance_amount: int


def record(order: Remembered, type: str, *, subject: models.Model, actor: Actor, **data: Any) -> Event:
    """
    Remember a fact about a locked order, with its amounts as they are now.

    Counts the event on the order, which the caller saves with the rest of its change: the guard refuses a commit where
    the two disagree. ``data`` must be JSON: ids, words and minor units.
    """
    order.event_count += 1
    balance = order.balance_amount
    event = Event(
        environment_id=order.environment_id,
        order_id=order.id,
        sequence=order.event_count,
        type=type,
        subject_type=subject._meta.model_name,
        subject_id=subject.pk,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
        request_id=actor.request_id,
        command_key=actor.command.key if actor.command else "",
        currency=order.currency,
        total_amount=order.total_amount,
        paid_amount=order.paid_amount,
        refunded_amount=order.refunded_amount,
        refund_pending_amount=order.refund_pending_amount,
        credit_amount=order.credit_amount,
        charged_back_amount=order.charged_back_amount,
        balance_amount=balance,
        balance_delta_amount=balance - order.told_balance_amount,
        data=data,
    )
    order.told_balance_amount = balance
    event.save(force_insert=True)
    _write_down([event])
    return event


def record_apart(environment_id: str, type: str, *, subject: models.Model, actor: Actor, **data: Any) -> Event:
    """Remember a fact that is about no order, such as a payout. ``data`` as in :func:`record`."""
    return record_all_apart(environment_id, type, subjects=[subject], actor=actor, **data)[0]


def record_all_apart(
    environment_id: str, type: str, *, subjects: Sequence[models.Model], actor: Actor, **data: Any
) -> list[Event]:
    """Remember the same fact of several subjects, in one statement; otherwise as :func:`record_apart`."""
    made = Event.objects.bulk_create(
        Event(
            environment_id=environment_id,
            type=type,
            subject_type=subject._meta.model_name,
            subject_id=subject.pk,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=actor.label,
            request_id=actor.request_id,
            command_key=actor.command.key if actor.command else "",
            data=data,
        )
        for subject in subjects
    )
    _write_down(made)
    return made


def _write_down(made: Sequence[Event]) -> None:
    """
    Log what happened once it is committed: ids and words, and nothing of what an event tells beyond them.

    Where somebody listens, the telling starts then as well.
    """

    def write() -> None:
        for event in made:
            log.info(
                "event.committed",
                type=event.type,
                event_id=event.id,
                order_id=event.order_id,
                subject_type=event.subject_type,
                subject_id=event.subject_id,
                actor_kind=event.actor_kind,
                environment_id=event.environment_id,
                **({"request_id": event.request_id} if event.request_id else {}),
            )

    transaction.on_commit(write, robust=True)
    for environment_id in {event.environment_id for event in made if event.is_awaited}:
        after_commit_once(tasks.publish, environment_id=environment_id)
