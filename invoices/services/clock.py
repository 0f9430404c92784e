"""
What the clock does to invoices: it issues those that were scheduled, tells what has become overdue, charges late fees,
reminds, and collects what is to be collected by itself.

Every invoice says when it is to be looked at next (``next_action_at``). A look works out all that is due by a moment,
tells each fact once, and sets the next one, so that neither two beats at once nor none for days do harm: a second look
finds nothing left to do, and a late one does what is still true.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q, Value, prefetch_related_objects
from django.db.models.functions import Coalesce
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.errors import FlintError
from flint.events import services as events
from flint.merchants.settings import section_of
from flint.merchants.settings.changing import when_chosen
from invoices.amounts import amounts_of
from invoices.asking import Asked, Due, asked_of
from invoices.due import MORNING, day_of, moment_of
from invoices.models import Invoice, InvoiceScheduleEntry
from invoices.models.invoices import ASKING, CollectionMode, S
from invoices.services import autopay, fees, issuing, reminding
from invoices.services.locking import lock_invoice, save_counts
from orders.collecting import OrderPaymentAttemptActive
from orders.models import Order

log = structlog.get_logger(__name__)

BATCH = 100
MOST_PER_SWEEP = 2_000
BLOCKED = timedelta(days=1)
ALL_TRIES = 1_000
"""More than there ever are: what was settled once is not tried any more."""
POSTPONED = timedelta(minutes=5)
"""How long an invoice that something is wrong with is left alone, and one that is being paid when a fee falls due."""

CLOCK = ["next_action_at", "overdue_told_for", "late_fee_told_for", "reminded_until", "autopay_tries"]
ENTRY_CLOCK = ["overdue_told_at", "late_fee_told_at", "autopay_tries"]


def sweep(*, at: datetime | None = None) -> int:
    """
    Look at every invoice that is due to be looked at, the longest due first, a batch at a time; return at how many.

    One that something is wrong with is put off for a while and keeps no other waiting.
    """
    at = at or timezone.now()
    seen = 0
    for invoice_id, environment_id, status, due in _due(at):
        seen += 1
        actor = actors.system(environment_id, "Clock")
        try:
            if status == S.DRAFT:
                issue_scheduled(invoice_id, actor=actor, at=at)
            else:
                look(invoice_id, actor=actor, at=at)
        except Exception:
            log.exception("invoice.clock_failed", invoice_id=invoice_id)
            _postpone(invoice_id, due, at)
    return seen


def look(invoice_id: str, *, actor: Actor, at: datetime) -> None:
    """Do to one issued invoice whatever is due by a moment, if anything, and say when to look again."""
    for _ in range(2):
        tries = _tell(invoice_id, actor, at)
        if not tries:
            return
        for each in tries:
            autopay.collect_due(invoice_id, each.due.entry_id, number=each.number, at=at)
        _count_tries(invoice_id, tries, actor)


@when_chosen("invoices")
def wake(environment_id: str, members: frozenset[str]) -> None:
    """Look anew at all that asks for money when the rules change by which it is reminded of or collected."""
    if members & {"reminder_policy", "autopay_retry_policy"}:
        asking = Invoice.objects.filter(environment_id=environment_id, status__in=ASKING)
        asking.update(next_action_at=timezone.now())


def _due(at: datetime) -> Iterator[tuple[str, str, str, datetime]]:
    last: tuple[datetime, str] | None = None
    for _ in range(MOST_PER_SWEEP // BATCH):
        rows = Invoice.objects.filter(next_action_at__lte=at)
        if last is not None:
            rows = rows.filter(Q(next_action_at=last[0], id__gt=last[1]) | Q(next_action_at__gt=last[0]))
        columns = ("id", "environment_id", "status", "next_action_at")
        found = list(rows.order_by("next_action_at", "id").values_list(*columns)[:BATCH])
        drafts, issued = [row for row in found if row[2] == S.DRAFT], [row for row in found if row[2] != S.DRAFT]
        # Drafts as they were scheduled, which is how they are numbered. The rest in any order, so that two workers at
        # the same batch share it instead of waiting for each other at each one.
        for row in [*drafts, *random.sample(issued, len(issued))]:
            if Invoice.objects.filter(id=row[0], next_action_at=row[3]).exists():
                yield row
        if len(found) < BATCH:
            return
        last = (found[-1][3], found[-1][0])


def _postpone(invoice_id: str, due: datetime, at: datetime) -> None:
    """Put off an invoice that could not be looked at, unless somebody else has dealt with it meanwhile."""
    try:
        Invoice.objects.filter(id=invoice_id, next_action_at=due).update(next_action_at=at + POSTPONED)
    except Exception:
        log.exception("invoice.clock_failed", invoice_id=invoice_id, step="postpone")


# Issuing what was scheduled


def issue_scheduled(invoice_id: str, *, actor: Actor, at: datetime) -> None:
    """Issue a draft whose time has come, or say why it cannot be."""
    try:
        issuing.issue_invoice(invoice_id=invoice_id, actor=actor, at=at)
    except FlintError as refusal:
        _tell_issue_failed(invoice_id, refusal, actor, at)


def _tell_issue_failed(invoice_id: str, refusal: FlintError, actor: Actor, at: datetime) -> None:
    """Leave the draft as it is, and say once what is wrong with it. It is tried again when somebody changes it."""
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor)
        moments = (invoice.next_action_at, invoice.scheduled_send_at)
        if invoice.status != S.DRAFT or any(moment is None or moment > at for moment in moments):
            return
        invoice.issue_error, invoice.next_action_at = refusal.code, None
        invoice.save(update_fields=["issue_error", "next_action_at", "updated_at"])
        events.record(order, "invoice.issue_failed", subject=invoice, actor=actor, error_code=refusal.code)
        save_counts(order)


# Telling what is due


@dataclass(frozen=True, slots=True)
class Try:
    """One automatic payment to be tried: for what, which one it is from 0, and how many are over with it."""

    due: Due
    number: int
    passed: int


def _tell(invoice_id: str, actor: Actor, at: datetime) -> list[Try]:
    """
    Tell all that has become true of an issued invoice by a moment, and set when to look again.

    Returns the automatic payments to be tried now; until they are counted, it stays due to be looked at.
    """
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor)
        if invoice.status == S.DRAFT or invoice.next_action_at is None or invoice.next_action_at > at:
            return []
        if not invoice.is_asking:
            _rest(invoice, at)
            return []
        if order.is_collection_blocked or order.status != "open":
            # What a dispute took back is nobody's to ask for until staff decide; nor is it caught up on after that.
            # On a closed order nothing is collected any more: it waits for staff to write it off.
            invoice.reminded_until, invoice.next_action_at = at, at + BLOCKED
            invoice.save(update_fields=CLOCK)
            return []
        look = Look(order, invoice, actor, at)
        look.pass_what_is_settled()
        look.tell_overdue()
        look.charge_late_fees()
        tries = look.tries()
        if not tries:
            # What is collected by itself first, so that nobody is reminded of what is paid the same morning.
            look.remind()
            invoice.next_action_at = look.next_at()
        look.save()
    return tries


def _rest(invoice: Invoice, at: datetime) -> None:
    """
    Leave alone what asks for nothing now.

    Should it come to ask again, by a dispute or a reversal, nothing that had come up before is charged by itself.
    """
    policy = fees.policy_of(invoice)
    is_charged = policy is not None and fees.mode_of(policy) == fees.AUTOMATIC
    if is_charged or invoice.collection_mode == CollectionMode.AUTOMATIC:
        invoice.autopay_tries, invoice.late_fee_told_for = ALL_TRIES, invoice.due_at
        InvoiceScheduleEntry.objects.filter(invoice_id=invoice.pk).update(
            autopay_tries=ALL_TRIES, late_fee_told_at=Coalesce("late_fee_told_at", Value(at))
        )
    invoice.next_action_at = None
    invoice.save(update_fields=CLOCK)


class Look:
    """One look at an invoice of a locked order that asks for money."""

    def __init__(self, order: Order, invoice: Invoice, actor: Actor, at: datetime):
        self.order, self.invoice, self.actor, self.at = order, invoice, actor, at
        self.settings = section_of(invoice.environment_id, "invoices")
        self.policy = fees.policy_of(invoice)
        self.events_before = order.event_count
        self.wait: datetime | None = None
        self.changed: dict[str, InvoiceScheduleEntry] = {}
        self._read()

    def _read(self) -> None:
        """Work out what the invoice stands at, anew after anything moved."""
        self.invoice._prefetched_objects_cache = {}
        prefetch_related_objects([self.invoice], "schedule_entries", "late_fees")
        self.asked: Asked = asked_of(self.invoice, amounts_of(self.invoice, self.order), at=self.at)

    def pass_what_is_settled(self) -> None:
        """
        Let what has come up for something that is settled have come up: it is not charged should that be owed again.

        What is still to come up is, even where it was settled for a while.
        """
        is_charged = self.policy is not None and fees.mode_of(self.policy) == fees.AUTOMATIC
        with_fee = {each.fee.schedule_entry_id for each in self.asked.fees}
        for due in self.asked.dues:
            if self._collected():
                is_tried = self._passed(due) > 0
                tries = _tries_of(self.invoice, due) if due.outstanding else ALL_TRIES
                self._keep(due, autopay_tries=tries if is_tried else 0)
            if is_charged and due.due_at and due.entry_id not in with_fee:
                is_over = self.at > fees.fee_due_at(self.invoice, self.policy, due.due_at)
                if is_over and not due.outstanding and not self._was_told(due):
                    self._mark_fee(due, at=self.at)
                elif not is_over and self._was_told(due):
                    self._mark_fee(due, at=None)
        self._save_entries()

    def tell_overdue(self) -> None:
        """Tell, once for each due date, that it passed while something of it was open."""
        for due in self.asked.dues:
            if due.due_at is None or self.at <= due.due_at or not due.outstanding:
                continue
            told = due.entry.overdue_told_at if due.entry else self.invoice.overdue_told_for
            if told is not None:
                continue
            if due.entry:
                self._keep(due, overdue_told_at=self.at)
            else:
                self.invoice.overdue_told_for = due.due_at
            self._record("invoice.overdue", due)
        self._save_entries()

    def charge_late_fees(self) -> None:
        """Charge the late fees whose grace is over, or tell that they may be charged, as the policy says."""
        if self.policy is None:
            return
        is_automatic = fees.mode_of(self.policy) == fees.AUTOMATIC
        while found := [each for each in self._fees_due() if not self._was_told(each.due)]:
            fee = found[0]
            if is_automatic:
                try:
                    fees.assess_locked(self.order, self.invoice, fee, actor=self.actor, at=self.at)
                except OrderPaymentAttemptActive:
                    self.wait = self.at + POSTPONED
                    return
            else:
                self._record("invoice.late_fee_due", fee.due, amount=fee.amount)
            self._mark_fee(fee.due, at=self.at)
            self._save_entries()
            if is_automatic:
                self._read()

    def remind(self) -> None:
        """Send the latest reminder that has come up, if any."""
        reminding.remind_by_rule(self.order, self.invoice, self._reminders(), actor=self.actor, at=self.at)

    def tries(self) -> list[Try]:
        """Return the automatic payments that are to be tried now: of those that were missed, one for each due date."""
        found = []
        for due in self._collected():
            passed = self._passed(due)
            if due.outstanding and passed > _tries_of(self.invoice, due):
                found.append(Try(due, passed - 1, passed))
        return found

    def next_at(self) -> datetime | None:
        """Return when to look next: the first moment to come at which anything may be due, whatever is paid by then."""
        moments = [self.wait] if self.wait else []
        for due in self.asked.dues:
            if due.due_at is not None:
                moments.append(due.due_at + timedelta(seconds=1))
                if self.policy is not None:
                    moments.append(fees.fee_due_at(self.invoice, self.policy, due.due_at) + timedelta(seconds=1))
        moments += [each.at for each in self._reminders()]
        moments += [moment for due in self._collected() for moment in self._moments_of(due)]
        return min((moment for moment in moments if moment > self.at), default=None)

    def save(self) -> None:
        """Save what the look changed; the order only if something was told."""
        self.invoice.save(update_fields=CLOCK)
        if self.order.event_count != self.events_before:
            save_counts(self.order)

    def _fees_due(self) -> list[fees.Assessable]:
        return fees.assessable(self.invoice, self.asked, at=self.at)

    def _was_told(self, due: Due) -> bool:
        return (due.entry.late_fee_told_at if due.entry else self.invoice.late_fee_told_for) is not None

    def _reminders(self) -> list[reminding.Reminder]:
        rules = [rule["days_from_due"] for rule in self.settings["reminder_policy"]["rules"]]
        return list(reminding.reminders_of(self.invoice, self.asked.dues, rules))

    def _collected(self) -> Sequence[Due]:
        """Return what is collected by itself: an invoice without a due date on the day it is issued."""
        return self.asked.dues if self.invoice.collection_mode == CollectionMode.AUTOMATIC else []

    def _moments_of(self, due: Due) -> list[datetime]:
        """Return when an automatic payment is tried: on the morning of the due day, and some days after if it fails."""
        issued_at = self.invoice.issued_at or self.at
        zone = self.invoice.timezone
        first = day_of(max(due.due_at or issued_at, issued_at), zone)
        offsets = [0, *self.settings["autopay_retry_policy"]["retry_day_offsets"]]
        return [max(moment_of(first + timedelta(days=days), MORNING, zone), issued_at) for days in offsets]

    def _record(self, type: str, due: Due, **data: object) -> None:
        told = {"due_at": due.due_at.isoformat() if due.due_at else None, **data}
        if due.entry_id:
            told["invoice_schedule_entry_id"] = due.entry_id
        events.record(self.order, type, subject=self.invoice, actor=self.actor, **told)

    def _passed(self, due: Due) -> int:
        """Return how many tries to collect have come up."""
        return sum(moment <= self.at for moment in self._moments_of(due))

    def _mark_fee(self, due: Due, *, at: datetime | None) -> None:
        """Remember that the late fee of something has come up, or that it has not."""
        if due.entry:
            self._keep(due, late_fee_told_at=at)
        else:
            self.invoice.late_fee_told_for = due.due_at if at else None

    def _keep(self, due: Due, **values: Any) -> None:
        """Set what the clock keeps about something that is due."""
        row = due.entry or self.invoice
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
                if due.entry:
                    self.changed[due.entry.pk] = due.entry

    def _save_entries(self) -> None:
        if self.changed:
            InvoiceScheduleEntry.objects.bulk_update(self.changed.values(), ENTRY_CLOCK)
            self.changed = {}


def _tries_of(invoice: Invoice, due: Due) -> int:
    return due.entry.autopay_tries if due.entry else invoice.autopay_tries


def _count_tries(invoice_id: str, tries: Sequence[Try], actor: Actor) -> None:
    """Remember that automatic payments were tried, so that only the next of them is."""
    with transaction.atomic():
        _, invoice = lock_invoice(invoice_id, actor=actor)
        for each in tries:
            if each.due.entry_id:
                rows = InvoiceScheduleEntry.objects.filter(id=each.due.entry_id, autopay_tries__lt=each.passed)
                rows.update(autopay_tries=each.passed)
            else:
                invoice.autopay_tries = max(invoice.autopay_tries, each.passed)
        invoice.save(update_fields=["autopay_tries"])
