"""Runs of the reconciliation: one at a time, never lost, taken up where they broke off, and started once a day."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from flint import actors
from flint.celery import SWEEPS, collecting
from flint.merchants import selectors, services
from flint.money import Money
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, eur
from payments import tasks
from payments.models import ReconcileDifference, ReconcileRun, ReconcileSighting
from payments.processors.sandbox import dashboard, faults
from payments.processors.sandbox.models import SandboxPayment
from payments.reconciling import comparing, runs
from payments.reconciling.comparing import Comparison
from payments.reconciling.differences import DifferenceReasonRequired, ignore_difference
from payments.reconciling.runs import (
    InvalidWindow,
    NoProcessorConfigured,
    ReconciliationRunning,
    begin_run,
    carry_out,
    start_due,
)
from payments.tests.acts import at_once, going_wrong, later, pay, reference_of
from payments.tests.reconciling import begun, counts, differences, moved, reconcile


def strangers(environment, count: int, *, at=None) -> None:
    """So many payments that nobody here asked for, a second apart."""
    at = at or later(hours=-1)
    for number in range(count):
        moment = at + timedelta(seconds=number)
        dashboard.charge(environment_id=environment.id, money=eur(100 + number), at=moment)


class TestBrokenOff:
    """A processor that fails in the middle costs time and nothing else."""

    def test_what_was_seen_stands_and_the_next_one_goes_on_from_there(self, environment, monkeypatch):
        monkeypatch.setattr(runs, "BATCH", 4)
        strangers(environment, 10)
        order = stories.paid_order(environment)
        refunded = dashboard.refund(environment_id=environment.id, reference=reference_of(order), money=eur(500))
        faults.plan(environment.id, on="list", fault="unreachable", after=6)
        failed = reconcile(environment)
        assert (failed.status, failed.error != "", failed.finished_at is None) == ("failed", True, False)
        assert 0 < counts(failed, "payment")[0] < 11
        assert len(differences(environment)) > 0
        assert_books(order, refunded=0, processor=False)

        resumed = reconcile(environment)

        assert (resumed.id, resumed.status, resumed.error) == (failed.id, "succeeded", "")
        assert [each for each in differences(environment) if each[0] == "payment"] == [
            ("payment", "not_ours", None, amount) for amount in sorted(range(100, 110), reverse=True)
        ]
        assert_books(order, refunded=refunded.money.amount, credit=500)

    def test_a_processor_that_is_out_of_reach_fails_the_run_and_nothing_else(self, api, environment):
        order = stories.open_order(environment)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)
        with going_wrong(order, on="list", fault="unreachable", times=None):
            assert reconcile(environment).status == "failed"
        assert_books(order, paid=0, processor=False)
        assert reconcile(environment).status == "succeeded"
        assert_books(order, paid=10_000)

    def test_a_question_that_goes_unanswered_on_the_way_fails_the_run(self, api, environment):
        order = stories.open_order(environment)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)
        with going_wrong(order, on="retrieve", fault="unreachable", times=None):
            run = reconcile(environment)
        assert (run.status, differences(environment)) == ("failed", [])
        reconcile(environment)
        assert_books(order, paid=10_000)

    def test_what_was_seen_on_the_way_is_forgotten_once_it_is_complete(self, environment):
        strangers(environment, 3)
        run = reconcile(environment)
        assert (run.cursor, ReconcileSighting.objects.count()) == ({}, 0)


class TestOneAtATime:
    def test_a_second_one_is_refused_with_the_first(self, environment):
        first = begun(environment)
        with pytest.raises(ReconciliationRunning) as refusal:
            begun(environment)
        assert refusal.value.facts == {"reconcile_run_id": first.id}
        assert ReconcileRun.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_of_many_that_begin_at_once_one_does(self, environment):
        actor = actor_in(environment)

        def begin():
            return begin_run(environment_id=environment.id, actor=actor)

        for _ in range(10):
            with collecting():
                results = at_once(begin, begin, begin, begin)

            assert sorted(type(each).__name__ for each in results) == ["ReconcileRun", *["ReconciliationRunning"] * 3]
            ReconcileRun.objects.all().delete()

    def test_one_whose_worker_died_is_taken_over_after_its_lease(self, environment):
        strangers(environment, 2)
        dead = begun(environment)
        ReconcileRun.objects.filter(id=dead.id).update(lease_token="of a dead worker")
        assert carry_out(dead.id, at=later(seconds=60)) is None
        with pytest.raises(ReconciliationRunning):
            begun(environment, at=later(seconds=60))

        taken = reconcile(environment, at=later(minutes=5))

        assert (taken.id, taken.status) == (dead.id, "succeeded")
        assert counts(taken, "payment")[0] == 2

    def test_a_worker_that_was_taken_over_stops_and_writes_nothing_more(self, environment, monkeypatch):
        monkeypatch.setattr(runs, "BATCH", 1)
        run = begun(environment)
        slow = TakenOverOnTheWay()

        with compared_too(slow):
            assert carry_out(run.id) is None

        row = ReconcileRun.objects.get(id=run.id)
        assert (row.status, row.lease_token, slow.compared) == ("running", "another worker's", 2)
        assert row.counts["a_test"]["compared"] == 1, "the third was not looked at, and nothing more was written"

    def test_a_task_that_comes_twice_compares_once(self, environment):
        run = begun(environment)
        tasks.reconcile.run(run_id=run.id)
        ended = ReconcileRun.objects.get(id=run.id)
        tasks.reconcile.run(run_id=run.id)
        assert ReconcileRun.objects.get(id=run.id).updated_at == ended.updated_at
        assert ended.status == "succeeded"


class TestDaily:
    def test_every_environment_with_a_processor_is_compared_once_a_day(self, environment, merchant):
        services.create_sandbox(merchant_id=merchant.id, name="Another")
        with collecting() as sent, TestCase.captureOnCommitCallbacks(execute=True):
            assert start_due() == 2
            assert start_due() == 0, "both are under way"
        assert {kwargs["run_id"] for _, kwargs in sent} == set(ReconcileRun.objects.values_list("id", flat=True))
        for run in ReconcileRun.objects.all():
            carry_out(run.id)
        with collecting():
            assert start_due(at=later(hours=23)) == 0
            assert start_due(at=later(hours=25)) == 2

    def test_an_environment_without_a_processor_has_nothing_to_compare(self, environment, merchant):
        merchant.environments.update(processor="")
        with collecting():
            assert start_due() == 0
        with pytest.raises(NoProcessorConfigured):
            begun(environment)

    def test_one_that_broke_off_is_taken_up_after_an_hour(self, environment, merchant):
        merchant.environments.exclude(id=environment.id).update(processor="")
        faults.plan(environment.id, on="list", fault="unreachable", times=None)
        assert reconcile(environment).status == "failed"
        with collecting():
            assert start_due(at=later(minutes=30)) == 0
            assert start_due(at=later(minutes=90)) == 1
        assert ReconcileRun.objects.count() == 1

    def test_one_whose_worker_died_is_given_to_another_at_once(self, environment, merchant):
        reconcile(environment)
        dead = begun(environment)
        with collecting() as sent, TestCase.captureOnCommitCallbacks(execute=True):
            assert start_due(at=later(seconds=60)) == 0
            assert start_due(at=later(minutes=3)) == 1
        assert [kwargs for _, kwargs in sent] == [{"run_id": dead.id}]

    def test_a_window_of_somebodys_choice_takes_no_turn_away(self, environment, merchant):
        merchant.environments.exclude(id=environment.id).update(processor="")
        run = reconcile(environment, since=later(hours=-1))
        assert run.status == "succeeded"
        with collecting():
            assert start_due() == 1

    def test_a_window_that_ends_before_it_begins_is_refused(self, environment):
        with pytest.raises(InvalidWindow):
            begun(environment, since=later(hours=1), until=later(hours=-1))
        assert ReconcileRun.objects.count() == 0

    def test_the_beat_starts_them(self):
        assert SWEEPS["payments.tasks.start_reconciling"] <= 600


class TestIgnoring:
    """A difference that somebody waved through stays so until it is another one."""

    @pytest.fixture
    def row(self, environment):
        dashboard.charge(environment_id=environment.id, money=eur(700))
        reconcile(environment)
        return ReconcileDifference.objects.get()

    def test_it_is_off_the_list_and_stays_off(self, environment, row):
        ignore_difference(row.id, reason="  The shop next door. ", actor=actors.system(environment.id, "Fay Ito"))
        reconcile(environment)

        row.refresh_from_db()
        assert (differences(environment), row.status) == ([], "ignored")
        assert (row.ignored_reason, row.ignored_by, row.ignored_at is None) == (
            "The shop next door.",
            "Fay Ito",
            False,
        )

    def test_it_comes_back_when_its_amount_changes(self, environment, row):
        ignore_difference(row.id, reason="Known.", actor=actor_in(environment))
        SandboxPayment.objects.update(captured_amount=600)
        reconcile(environment)
        assert differences(environment) == [("payment", "not_ours", None, 600)]

    @pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
    def test_without_a_reason_it_stays(self, environment, row, reason):
        with pytest.raises(DifferenceReasonRequired):
            ignore_difference(row.id, reason=reason, actor=actor_in(environment))
        assert len(differences(environment)) == 1


class TestCommands:
    def run(self, *args: str) -> tuple[int, str]:
        out = StringIO()
        try:
            call_command(*args, stdout=out)
        except SystemExit as ended:
            return ended.code, out.getvalue()
        return 0, out.getvalue()

    def test_reconcile_is_quiet_when_nothing_differs(self, environment):
        stories.paid_order(environment)
        code, text = self.run("reconcile", "--environment", environment.id)
        assert code == 0
        assert "Open differences: 0" in text and "payment" in text

    def test_reconcile_fails_while_differences_remain_and_names_them(self, environment):
        dashboard.charge(environment_id=environment.id, money=Money(700, "EUR"))
        code, text = self.run("reconcile", "--environment", environment.id)
        assert code == 1
        assert "€7.00" in text and "no id of ours" in text

    def test_reconcile_speaks_json(self, environment):
        dashboard.charge(environment_id=environment.id, money=Money(700, "EUR"))
        code, text = self.run("reconcile", "--environment", environment.id, "--json")
        (found,) = json.loads(text)["environments"]
        assert (code, found["status"], found["open_differences"]) == (1, "succeeded", 1)
        assert found["counts"]["payment"]["differing"] == 1
        assert found["differences"][0]["there"] == "€7.00"

    def test_reconcile_takes_a_window(self, environment):
        dashboard.charge(environment_id=environment.id, money=eur(700), at=later(days=-2))
        code, text = self.run("reconcile", "--environment", environment.id, "--since", later(days=-1).isoformat())
        assert (code, "Open differences: 0" in text) == (0, True)

    def test_reconcile_fails_when_it_broke_off(self, environment):
        faults.plan(environment.id, on="list", fault="unreachable", times=None)
        code, text = self.run("reconcile", "--environment", environment.id)
        assert (code, "broke off" in text) == (1, True)

    def test_all_environments_are_compared_when_none_is_named(self, environment, merchant):
        services.create_sandbox(merchant_id=merchant.id, name="Another")
        code, text = self.run("reconcile", "--json")
        assert (code, len(json.loads(text)["environments"])) == (0, 2)

    @pytest.mark.parametrize(
        "args", [["--environment", "env_nowhere"], ["--since", "yesterday"], ["--since", "2026-13-45"]]
    )
    def test_what_makes_no_sense_is_refused(self, environment, args):
        with pytest.raises(CommandError):
            call_command("reconcile", *args)

    def test_sweep_runs_every_sweep_once_and_counts(self, api, environment):
        order = stories.open_order(environment)
        with going_wrong(order, on="confirm", fault="lose_answer"):
            pay(api, order)
        order.payment_attempts.update(next_check_at=later(minutes=-1))

        code, text = self.run("sweep", "--json")

        found = json.loads(text)
        assert (code, found["errors"]) == (0, {})
        assert set(found["counts"]) == set(SWEEPS)
        assert found["counts"]["payments.tasks.sweep"] == 1
        assert_books(order, paid=10_000)

    def test_sweep_prints_a_table(self, environment):
        code, text = self.run("sweep")
        assert code == 0
        assert all(name in text for name in SWEEPS)


def test_every_batch_costs_as_much_as_the_one_before(environment, monkeypatch):
    monkeypatch.setattr(runs, "BATCH", 5)
    reconcile(environment)

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            reconcile(environment)
        return len(captured)

    def after_one_batch_more() -> int:
        for _ in range(5):
            stories.paid_order(environment)
        return statements()

    one, two, three = (after_one_batch_more() for _ in range(3))
    assert two - one == three - two > 0


def test_an_environment_of_somebody_elses_is_compared_with_its_own_processor_only(environment):
    rival = services.create_merchant(name="Rival", email="owner@rival.example")
    theirs = selectors.default_sandbox(rival.id)
    strangers(theirs, 2)
    before = moved(theirs)
    reconcile(environment)
    assert (differences(theirs), moved(theirs)) == ([], before)


class TakenOverOnTheWay(Comparison):
    """Compares nothing; while it lists, another worker takes the run over."""

    def __init__(self):
        self.compared = 0

    def listed(self, look, *, until):
        for number in range(3):
            if number == 1:
                ReconcileRun.objects.update(lease_token="another worker's")
            yield SimpleNamespace(reference=str(number), created_at=None)

    def compare(self, states, look):
        self.compared += 1

    def retrieve(self, look, reference):
        return None

    def ours(self, look):
        return ReconcileDifference.objects.none()

    def absent(self, row, look):
        """Nothing of ours is ever missing."""


@contextmanager
def compared_too(comparison: Comparison) -> Iterator[None]:
    """Have a run compare one more kind of object inside the block."""
    comparison.kind = "a_test"
    comparing._comparisons[comparison.kind] = comparison
    try:
        yield
    finally:
        del comparing._comparisons[comparison.kind]
