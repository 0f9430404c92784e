"""Differences: kept once per object and problem, resolved when both sides agree, ignored by people with a reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.money import Money
from payments.models import ReconcileDifference

WRITTEN = ("text", "our_amount", "our_currency", "their_amount", "their_currency", "order_id", "last_seen_at")
WRITTEN += ("first_seen_at", "resolved_at", "ignored_at", "ignored_reason", "ignored_by", "updated_at")


MAX_REASON = 500


class DifferenceReasonRequired(InvalidInput):
    code = "DIFFERENCE_REASON_REQUIRED"
    message = f"Say in at most {MAX_REASON} characters why nothing has to be done."


class DifferenceNotOpen(Conflict):
    code = "DIFFERENCE_NOT_OPEN"
    message = "This difference has been settled in the meantime."


@dataclass(frozen=True, slots=True)
class Found:
    """One difference as it was just seen."""

    reference: str
    problem: str
    text: str
    ours: Money | None = None
    theirs: Money | None = None
    order_id: str | None = None

    @property
    def amounts(self) -> tuple[int | None, str, int | None, str]:
        """Return both amounts as the columns have them."""
        return (
            None if self.ours is None else self.ours.amount,
            "" if self.ours is None else self.ours.currency,
            None if self.theirs is None else self.theirs.amount,
            "" if self.theirs is None else self.theirs.currency,
        )


def keep(
    *,
    environment_id: str,
    processor: str,
    kind: str,
    looked_at: Iterable[str],
    found: Sequence[Found],
    at: datetime | None = None,
) -> int:
    """
    Store what was found of the objects that were looked at, and resolve what they differed in before and no longer do.

    Return how many differences are new or open again. Three statements, however many there are.
    """
    at = at or timezone.now()
    seen = {(each.reference, each.problem): each for each in found}
    references = {*looked_at, *(each.reference for each in found)}
    with transaction.atomic():
        known = ReconcileDifference.objects.select_for_update().filter(
            environment_id=environment_id, processor=processor, kind=kind, reference__in=references
        )
        changed, appeared = [], 0
        for row in known.order_by("id"):
            here = seen.pop((row.reference, row.problem), None)
            if here is not None:
                appeared += _see_again(row, here, at)
                changed.append(row)
            elif row.resolved_at is None:
                row.resolved_at = row.updated_at = at
                changed.append(row)
        if changed:
            ReconcileDifference.objects.bulk_update(changed, WRITTEN)
        new = [_new(each, environment_id, processor, kind, at) for each in seen.values()]
        # Somebody who saw the same at the same moment has it stored already.
        ReconcileDifference.objects.bulk_create(new, ignore_conflicts=True)
    return appeared + len(new)


def ignore_difference(difference_id: str, *, reason: str, actor: Actor, at: datetime | None = None) -> None:
    """
    Take a difference off the work list, with a reason and a name. It comes back if its amounts change.

    :raises DifferenceReasonRequired: if the reason is empty or too long.
    :raises DifferenceNotOpen: if there is nothing to ignore any more.
    """
    at = at or timezone.now()
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON or "\0" in reason:
        raise DifferenceReasonRequired(param="reason")
    with transaction.atomic():
        row = ReconcileDifference.objects.of(actor).lock(id=difference_id)
        if row.status != "open":
            raise DifferenceNotOpen
        row.ignored_at, row.ignored_reason, row.ignored_by = at, reason, actor.label or actor.id
        row.save(update_fields=["ignored_at", "ignored_reason", "ignored_by", "updated_at"])
        # The reason is a person's own words, so it stays on the row, which can be forgotten, unlike an event.
        events.record_apart(
            row.environment_id,
            "reconciliation.difference_ignored",
            subject=row,
            actor=actor,
            kind=row.kind,
            problem=row.problem,
            reference=row.reference,
        )


def open_count(environment_id: str) -> int:
    """Return how many differences of an environment are on the work list."""
    return ReconcileDifference.objects.filter(environment_id=environment_id).open().count()


def _see_again(row: ReconcileDifference, found: Found, at: datetime) -> bool:
    """Bring a row to what was just seen. Return whether it is open now and was not before."""
    was_open = row.status == "open"
    before = (row.our_amount, row.our_currency, row.their_amount, row.their_currency)
    if row.resolved_at is not None:
        row.resolved_at, row.first_seen_at = None, at
        row.ignored_at, row.ignored_reason, row.ignored_by = None, "", ""
    elif before != found.amounts:
        row.ignored_at, row.ignored_reason, row.ignored_by = None, "", ""
    _fill(row, found)
    row.last_seen_at = row.updated_at = at
    return row.status == "open" and not was_open


def _new(found: Found, environment_id: str, processor: str, kind: str, at: datetime) -> ReconcileDifference:
    row = ReconcileDifference(
        environment_id=environment_id,
        processor=processor,
        kind=kind,
        reference=found.reference,
        problem=found.problem,
        first_seen_at=at,
        last_seen_at=at,
    )
    _fill(row, found)
    return row


def _fill(row: ReconcileDifference, found: Found) -> None:
    row.text, row.order_id = found.text, found.order_id
    row.our_amount, row.our_currency, row.their_amount, row.their_currency = found.amounts
