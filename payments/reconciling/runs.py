"""Runs: one environment compared with its processor over a window, every kind of object both ways, resumable."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from flint import actors
from flint.actors import Actor
from flint.celery import after_commit
from flint.errors import Conflict, InvalidInput
from flint.merchants.models import Environment
from payments import tasks
from payments.models import ReconcileDifference, ReconcileRun, ReconcileSighting
from payments.processors import processor_of
from payments.reconciling.comparing import Comparison, Look, comparison_of, comparisons
from payments.reconciling.differences import keep

log = structlog.get_logger(__name__)

BATCH = 100
WINDOW = timedelta(days=3)
"""How far back a run looks at least: payments may take days, and a list shows them by when they were made."""

LEASE = timedelta(minutes=2)
"""How long a worker may be silent before its run is taken over."""

EVERY = timedelta(days=1)
RESUME_AFTER = timedelta(hours=1)


class ReconciliationRunning(Conflict):
    code = "RECONCILIATION_RUNNING"
    message = "A reconciliation of this environment is under way."


class NoProcessorConfigured(Conflict):
    code = "NO_PROCESSOR_CONFIGURED"
    message = "This environment has no processor to compare with."


class InvalidWindow(InvalidInput):
    code = "INVALID_WINDOW"
    message = "The window ends before it begins."


class TakenOver(Exception):
    """Another worker has the run now; this one stops where it is."""


def begin_run(
    *,
    environment_id: str,
    actor: Actor,
    since: datetime | None = None,
    until: datetime | None = None,
    at: datetime | None = None,
    by_task: bool = True,
) -> ReconcileRun:
    """
    Write down a run. A task carries it out, or, without ``by_task``, the caller by :func:`carry_out`.

    Without a window it takes up the newest run if that broke off or its worker died; otherwise it looks at everything
    since the last complete run, and at least at three days.

    :raises ReconciliationRunning: if one is under way. :raises NoProcessorConfigured, InvalidWindow: by what they say.
    """
    at = at or timezone.now()
    with transaction.atomic():
        environment = Environment.objects.select_for_update(no_key=True).get(id=environment_id)
        if not is_comparable(environment):
            raise NoProcessorConfigured
        runs = ReconcileRun.objects.filter(environment=environment)
        newest = runs.order_by("-id").first()
        is_routine = since is None and until is None
        goes_on = newest is not None and newest.status == "failed" and newest.is_routine
        if newest and newest.status == "running":
            if newest.lease_until and newest.lease_until > at:
                raise ReconciliationRunning(reconcile_run_id=newest.id)
            newest.fail(error="Its worker was silent for too long.", at=at)
            newest.save()
            goes_on = True
        if goes_on and is_routine:
            run = newest
            run.take_up()
        else:
            until = until or at
            since = since or min(until - WINDOW, _compared_until(environment_id) or until)
            if since >= until:
                raise InvalidWindow(param="since")
            run = ReconcileRun(
                environment=environment,
                processor=environment.processor,
                since=since,
                until=until,
                is_routine=is_routine,
                actor_kind=actor.kind,
                actor_id=actor.id,
                actor_label=actor.label,
            )
        # Whoever takes it up first has it; until then it may only be started again once the lease is over.
        run.lease_until = at + LEASE
        run.save()
        if by_task:
            after_commit(tasks.reconcile, run_id=run.id)
    return run


def carry_out(run_id: str, *, at: datetime | None = None) -> ReconcileRun | None:
    """
    Compare, from where the run stands to its end. Return it as it ended, or None if somebody else has it.

    A processor that fails on the way leaves the run failed with all that was seen until then, to be taken up again.
    """
    now = at or timezone.now()
    token = str(uuid.uuid4())
    with transaction.atomic():
        run = ReconcileRun.objects.select_for_update().filter(id=run_id, status="running").first()
        if run is None or (run.lease_token and run.lease_until and run.lease_until > now):
            return None
        run.lease_token, run.lease_until = token, now + LEASE
        run.save()
    worker = _Worker(run, at=at)
    try:
        for comparison in comparisons():
            worker.compare(comparison)
        worker.look_again()
    except TakenOver:
        log.warning("reconcile.taken_over", run_id=run.id)
        return None
    except Exception as error:
        # Whatever it is, nothing that was seen is lost, and the next run goes on from here.
        log.exception("reconcile.broke_off", run_id=run.id)
        worker.end(f"{type(error).__name__}: {error}"[:2000])
    else:
        worker.end()
    return run


def is_comparable(environment: Environment) -> bool:
    """Whether an environment collects through a processor that can be asked."""
    if not environment.processor:
        return False
    return processor_of(environment.processor).is_configured(environment_id=environment.id)


def start_due(*, at: datetime | None = None) -> int:
    """
    Begin the daily run of every environment whose turn it is, and take up what broke off. Return how many.

    A run whose worker died is given to another one.
    """
    at = at or timezone.now()
    started = 0
    routine = ReconcileRun.objects.filter(environment=OuterRef("pk"), is_routine=True)
    recent = routine.filter(until__gt=at - EVERY, status="succeeded")
    running = ReconcileRun.objects.filter(environment=OuterRef("pk"), status="running")
    dead = running.filter(lease_until__lte=at)
    resting = routine.filter(status="failed", finished_at__gt=at - RESUME_AFTER)
    due = Environment.objects.exclude(processor="").filter(
        Exists(dead) | ~(Exists(recent) | Exists(running) | Exists(resting))
    )
    for environment in due.order_by("id").iterator():
        if not is_comparable(environment):
            continue
        try:
            begin_run(environment_id=environment.id, actor=actors.system(environment.id), at=at)
        except ReconciliationRunning:
            continue
        started += 1
    return started


def recheck(difference: ReconcileDifference, *, actor: Actor, at: datetime | None = None) -> None:
    """Look again at one object that differed, and import it if it can be booked by now."""
    at = at or timezone.now()
    look = _look(difference.environment_id, difference.processor, actor, at)
    _look_again([difference], comparison_of(difference.kind), look)


class _Worker:
    """Carries a run out, batch by batch; after each, what was found and how far it came is committed."""

    def __init__(self, run: ReconcileRun, *, at: datetime | None):
        self.run = run
        self.token = run.lease_token
        self.at = at
        self.renewed_at = self.now()
        actor = actors.system(run.environment_id, "Reconciliation")
        self.look = _look(run.environment_id, run.processor, actor, self.now(), run.since, run.until, self.alive)

    def now(self) -> datetime:
        return self.at or timezone.now()

    def alive(self) -> None:
        """Say that the worker lives, now and then. :raises TakenOver: if the run is no longer its own."""
        if self.now() - self.renewed_at > LEASE / 6:
            self._save()

    def compare(self, comparison: Comparison) -> None:
        """Take one kind of object through the window, there first, then here."""
        place = self.run.cursor.setdefault(comparison.kind, {})
        counts = self.run.counts.setdefault(comparison.kind, {"compared": 0, "imported": 0, "differing": 0, "new": 0})
        if "listed" not in place:
            self._compare_theirs(comparison, place, counts)
        if "checked" not in place:
            self._compare_ours(comparison, place, counts)

    def _compare_theirs(self, comparison: Comparison, place: dict[str, Any], counts: dict[str, Any]) -> None:
        until = self.run.until
        if reached := place.get("reached"):
            # Times may be whole seconds: the last one is looked at once more.
            until = min(until, parse_datetime(reached) + timedelta(seconds=1))
        for states in _batches(comparison.listed(self.look, until=until)):
            self.alive()
            comparison.compare(states, self.look)
            references = [state.reference for state in states]
            with transaction.atomic():
                self._keep(comparison, references, counts)
                ReconcileSighting.objects.bulk_create(
                    [ReconcileSighting(run=self.run, kind=comparison.kind, reference=each) for each in references],
                    ignore_conflicts=True,
                )
                if states[-1].created_at:
                    place["reached"] = states[-1].created_at.isoformat()
                self._save()
        place["listed"] = True
        self._save()

    def _compare_ours(self, comparison: Comparison, place: dict[str, Any], counts: dict[str, Any]) -> None:
        seen = ReconcileSighting.objects.filter(run=self.run, kind=comparison.kind, reference=OuterRef("reference"))
        rows = comparison.ours(self.look).exclude(Exists(seen)).order_by("id")
        while batch := list(rows.filter(id__gt=place.get("row", ""))[:BATCH]):
            looked_at = self._ask_about(comparison, batch)
            with transaction.atomic():
                self._keep(comparison, looked_at, counts)
                place["row"] = batch[-1].id
                self._save()
        place["checked"] = True
        self._save()

    def _ask_about(self, comparison: Comparison, rows: Sequence[Any]) -> list[str]:
        """Ask for what was not listed, one by one: it may have been made just outside of the window."""
        states, looked_at = [], []
        for row in rows:
            self.alive()
            state = comparison.retrieve(self.look, row.reference) if row.reference else None
            if state is None:
                comparison.absent(row, self.look)
            else:
                states.append(state)
            looked_at.append(row.reference)
        comparison.compare(states, self.look)
        return looked_at

    def _keep(self, comparison: Comparison, looked_at: Sequence[str], counts: dict[str, Any]) -> None:
        counts["compared"] += len(looked_at)
        counts["differing"] += len({found.reference for found in self.look.found})
        new, imported = _store(comparison, self.look, looked_at)
        counts["new"] += new
        counts["imported"] += imported

    def look_again(self) -> None:
        """Look once more at every open difference that this run has not seen: of whatever window, it may fit now."""
        kinds = {comparison.kind: comparison for comparison in comparisons()}
        rows = ReconcileDifference.objects.filter(
            environment_id=self.run.environment_id,
            processor=self.run.processor,
            kind__in=kinds,
            last_seen_at__lt=self.look.at,
        )
        last = self.run.cursor.get("again", "")
        while batch := list(rows.open().filter(id__gt=last).order_by("id")[:BATCH]):
            for kind, comparison in kinds.items():
                if of_kind := [row for row in batch if row.kind == kind]:
                    self.alive()
                    _look_again(of_kind, comparison, self.look)
            last = self.run.cursor["again"] = batch[-1].id
            self._save()

    def end(self, error: str = "") -> None:
        """Close the run. What it saw on its way is no longer needed once it is complete."""
        with transaction.atomic():
            held = ReconcileRun.objects.select_for_update().filter(id=self.run.id, lease_token=self.token)
            if not held.exists():
                return
            if error:
                self.run.fail(error=error, at=self.now())
            else:
                self.run.succeed(at=self.now())
                self.run.cursor = {}
                self.run.sightings.all().delete()
            self.run.save()

    def _save(self) -> None:
        now = self.now()
        mine = ReconcileRun.objects.filter(id=self.run.id, status="running", lease_token=self.token)
        if not mine.update(
            counts=self.run.counts, cursor=self.run.cursor, lease_until=now + LEASE, updated_at=timezone.now()
        ):
            raise TakenOver
        self.renewed_at = now


def _look(
    environment_id: str,
    processor: str,
    actor: Actor,
    at: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    alive: Any = lambda: None,
) -> Look:
    return Look(processor_of(processor), actor=actor, since=since or at, until=until or at, at=at, alive=alive)


def _look_again(rows: Sequence[ReconcileDifference], comparison: Comparison, look: Look) -> None:
    states = []
    for row in rows:
        state = comparison.retrieve(look, row.reference) if row.reference else None
        if state is not None:
            states.append(state)
        elif row.problem == "missing_there":
            look.differs(row.reference, row.problem, row.text, ours=row.our_money, theirs=None, order_id=row.order_id)
    if states:
        comparison.compare(states, look)
    _store(comparison, look, [row.reference for row in rows])


def _store(comparison: Comparison, look: Look, looked_at: Sequence[str]) -> tuple[int, int]:
    """Keep what a batch found, and begin the next one. Return how many differences appeared and what was imported."""
    found, imported = look.found, look.imported
    look.found, look.imported = [], 0
    appeared = keep(
        environment_id=look.environment_id,
        processor=look.processor.name,
        kind=comparison.kind,
        looked_at=looked_at,
        found=found,
        at=look.at,
    )
    return appeared, imported


def _batches(states: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(states, BATCH)):
        yield batch


def _compared_until(environment_id: str) -> datetime | None:
    complete = ReconcileRun.objects.filter(environment_id=environment_id, status="succeeded", is_routine=True)
    return complete.order_by("-until").values_list("until", flat=True).first()
