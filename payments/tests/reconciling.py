"""What tests of the reconciliation do over and over."""

from datetime import datetime

from flint.celery import collecting
from flint.merchants.models import Environment
from flint.testing.stories import actor_in
from payments.models import ReconcileDifference, ReconcileRun
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxOperation
from payments.reconciling.runs import begin_run, carry_out


def reconcile(environment: Environment, *, at: datetime | None = None, **window: datetime) -> ReconcileRun:
    """Compare an environment with its processor, start to end, and return the run as it ended."""
    run = begun(environment, at=at, **window)
    carried_out = carry_out(run.id, at=at)
    assert carried_out is not None
    return ReconcileRun.objects.get(id=run.id)


def begun(environment: Environment, *, at: datetime | None = None, **window: datetime) -> ReconcileRun:
    """A run that is written down and waits for its worker."""
    with collecting():
        return begin_run(environment_id=environment.id, actor=actor_in(environment), at=at, **window)


def differences(environment: Environment) -> list[tuple[str, str, int | None, int | None]]:
    """What is on the work list: kind, problem, our amount, their amount."""
    rows = ReconcileDifference.objects.filter(environment=environment).open().order_by("kind", "id")
    return list(rows.values_list("kind", "problem", "our_amount", "their_amount"))


def counts(run: ReconcileRun, kind: str) -> tuple[int, int, int]:
    """How many objects of a kind a run compared, imported, and found to differ."""
    found = run.counts[kind]
    return found["compared"], found["imported"], found["differing"]


def moved(environment: Environment) -> tuple[int, int]:
    """How often money was moved at the processor, and how often we asked for it."""
    return len(effects(environment.id)), SandboxOperation.objects.filter(environment_id=environment.id).count()
