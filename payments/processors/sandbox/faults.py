"""
Misfortune on cue: plan what shall go wrong with the next calls or notices of an environment.

    plan(environment_id, on="confirm", fault="lose_answer")          the next payment works, its answer is lost
    plan(environment_id, on="notice", fault="drop", times=None)      no notice arrives until clear()
    plan(environment_id, on="refund", fault="refuse", code="card_declined")
    plan(environment_id, on="list", fault="unreachable", after=3)    the next list breaks off behind three rows

Calls can meet ``lose_answer``, ``never_executed``, ``refuse``, ``unreachable`` and ``delay``; notices can meet
``drop``, ``delay``, ``duplicate``, ``reorder``, ``lose_answer`` and ``unreachable``. A list meets what a call meets,
and it can do so on the way.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Q

from payments.processors.base import NoAnswer, Refused, Unreachable
from payments.processors.sandbox.models import SandboxFault

On, Fault = SandboxFault.On, SandboxFault.Fault

ON_CALLS = {Fault.LOSE_ANSWER, Fault.NEVER_EXECUTED, Fault.REFUSE, Fault.UNREACHABLE, Fault.DELAY}
ON_NOTICES = {
    Fault.DROP,
    Fault.DELAY,
    Fault.DUPLICATE,
    Fault.REORDER,
    Fault.LOSE_ANSWER,
    Fault.UNREACHABLE,
}
LONGEST_DELAY = 30

Row = TypeVar("Row")


def plan(environment_id: str, *, on: str, fault: str, times: int | None = 1, **options: Any) -> SandboxFault:
    """
    Let something go wrong the next ``times`` times, or until :func:`clear` if that is None. Plans queue up.

    Options: ``code`` and ``message`` of refuse, ``seconds`` of delay, ``count`` (extra copies) of duplicate,
    ``after`` (rows that still come) of a list.

    :raises ValueError: if that cannot happen there.
    """
    if fault not in (ON_NOTICES if on == On.NOTICE else ON_CALLS) or on not in On.values:
        raise ValueError(f"{fault} cannot happen on {on}")
    return SandboxFault.objects.create(
        environment_id=environment_id, on=on, fault=fault, remaining=times, options=options
    )


def clear(environment_id: str) -> None:
    """Forget all plans of an environment."""
    SandboxFault.objects.filter(environment_id=environment_id).delete()


def take(environment_id: str, on: str) -> SandboxFault | None:
    """Return the oldest plan for this, using it up by one, or None if all goes well."""
    planned = SandboxFault.objects.filter(Q(remaining__isnull=True) | Q(remaining__gt=0)).filter(
        environment_id=environment_id, on=on
    )
    if not planned.exists():
        return None
    with transaction.atomic():
        fault = planned.select_for_update().order_by("id").first()
        if fault is not None and fault.remaining is not None:
            fault.remaining -= 1
            fault.save(update_fields=["remaining"])
    return fault


@contextmanager
def around_call(environment_id: str, on: str) -> Iterator[None]:
    """
    Let a planned misfortune happen to the call in the block. The block commits before an answer is lost or late.

    :raises Refused, Unreachable, NoAnswer: as planned.
    """
    with _happening(take(environment_id, on)):
        yield


@contextmanager
def _happening(fault: SandboxFault | None) -> Iterator[None]:
    match fault and fault.fault:
        case Fault.REFUSE:
            raise Refused(fault.options.get("code", "processing_error"), fault.options.get("message", ""))
        case Fault.UNREACHABLE:
            raise Unreachable("the sandbox network was planned to be unreachable")
        case Fault.NEVER_EXECUTED:
            raise NoAnswer("the sandbox network was planned not to answer")
    yield
    match fault and fault.fault:
        case Fault.LOSE_ANSWER:
            raise NoAnswer("the sandbox network was planned to lose its answer")
        case Fault.DELAY:
            time.sleep(min(fault.options.get("seconds", 1), LONGEST_DELAY))


def on_the_way(environment_id: str, on: str, rows: Iterator[Row]) -> Iterator[Row]:
    """
    Let a planned misfortune happen while somebody goes through rows, behind as many of them as planned.

    :raises Refused, Unreachable, NoAnswer: as planned.
    """
    fault = take(environment_id, on)
    if fault is None:
        yield from rows
        return
    yield from islice(rows, fault.options.get("after", 0))
    with _happening(fault):
        yield from rows
