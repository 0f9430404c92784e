"""Payouts at the processor against ours and back: what was never told is learned, what does not fit is on the list."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint.events.models import Event
from flint.merchants import selectors, services
from flint.testing import stories
from flint.testing.books import check_guard
from flint.testing.processors import network_of
from flint.testing.stories import eur
from payments.models import Payout, ReconcileDifference
from payments.processors import processor_of
from payments.processors.sandbox import clock, dashboard
from payments.processors.sandbox.accounts import pay_out_daily
from payments.processors.sandbox.models import SandboxPayout
from payments.tests.acts import later
from payments.tests.reconciling import begun, counts, differences, moved, reconcile
from payments.tests.test_balance import sync


@pytest.fixture
def balance(environment):
    """Something to pay out by hand: a sale whose money has become available."""
    sale = stories.paid_order(environment, total=10_000)
    pay_out_daily(environment.id, daily=False)
    clock.advance(later(days=3), environment.id)
    return sale


def pay_out(environment, amount: int = 1_000, *, hours: int = 0) -> str:
    """Pay out by hand in the dashboard, telling nobody. Return the processor's name for it."""
    made = dashboard.pay_out(environment_id=environment.id, money=eur(amount), at=later(days=3, hours=hours))
    return made.reference


def compare(environment, *, days: int = 4):
    return reconcile(environment, at=later(days=days))


def everything(environment) -> tuple:
    """What moved at the processor, every payout as it is stored, and how much was told."""
    return moved(environment), list(Payout.objects.values("id", "status", "updated_at")), Event.objects.count()


class TestImported:
    def test_a_payout_that_was_never_told_is_learned_and_told_once(self, environment, balance):
        reference = pay_out(environment)

        run = compare(environment)

        payout = Payout.objects.get(reference=reference)
        assert (run.status, payout.money, payout.status) == ("succeeded", eur(1_000), "pending")
        assert payout.initiated_by == "manual"
        assert differences(environment) == []
        assert Event.objects.filter(type="payout.created", subject_id=payout.id).count() == 1
        assert payout.next_check_at is not None, "it is asked about again"

    def test_one_that_went_on_is_followed(self, environment, balance):
        reference = pay_out(environment)
        compare(environment)
        clock.advance(later(days=5), environment.id)

        run = compare(environment, days=5)

        payout = Payout.objects.get(reference=reference)
        assert (payout.status, payout.paid_at) == ("paid", run.until)
        assert counts(run, "payout")[2] == 0

    def test_one_that_came_back_from_the_bank_is_followed(self, environment, balance):
        reference = pay_out(environment)
        clock.advance(later(days=5), environment.id)
        compare(environment, days=5)
        dashboard.fail_payout(environment_id=environment.id, reference=reference, at=later(days=5))

        compare(environment, days=5)

        assert Payout.objects.get(reference=reference).status == "failed"
        sync(environment, at=later(days=5, minutes=1))
        check_guard()

    def test_a_second_comparison_finds_nothing_and_imports_nothing(self, environment, balance):
        for hours in range(3):
            pay_out(environment, hours=hours)
        clock.advance(later(days=5), environment.id)
        first = compare(environment, days=5)
        assert counts(first, "payout")[1] >= 3
        before = everything(environment)

        second = compare(environment, days=5)

        compared, imported, differing = counts(second, "payout")
        assert (compared, imported, differing) == (counts(first, "payout")[0], 0, 0)
        assert differences(environment) == []
        assert everything(environment) == before


class TestDifferences:
    def test_one_that_the_processor_does_not_have_is_told(self, environment, balance):
        reference = pay_out(environment)
        compare(environment)
        before = len(differences(environment))
        Payout.objects.filter(reference=reference).update(reference="sbo_gone")

        compare(environment)

        assert before == 0
        assert differences(environment) == [("payout", "missing_there", 1_000, None)]

    def test_one_that_failed_left_nothing_behind_and_is_not_missed(self, environment, balance):
        reference = pay_out(environment)
        dashboard.cancel_payout(environment_id=environment.id, reference=reference, at=later(days=3, minutes=1))
        compare(environment)
        assert Payout.objects.get(reference=reference).status == "canceled"
        Payout.objects.filter(reference=reference).update(reference="sbo_gone")
        SandboxPayout.objects.filter(reference=reference).update(created_at=later(days=-9))

        compare(environment)

        assert differences(environment) == []

    def test_another_amount_than_before_is_told_with_both_and_changes_nothing(self, environment, balance):
        reference = pay_out(environment)
        compare(environment)
        SandboxPayout.objects.filter(reference=reference).update(amount=1_100)

        run = compare(environment)

        assert differences(environment) == [("payout", "amount", 1_000, 1_100)]
        assert (counts(run, "payout")[1:], Payout.objects.get(reference=reference).amount) == ((0, 1), 1_000)
        SandboxPayout.objects.filter(reference=reference).update(amount=1_000)
        compare(environment)
        assert (differences(environment), ReconcileDifference.objects.get().status) == ([], "resolved")

    def test_a_status_that_lies_behind_is_told_and_not_gone_back_to(self, environment, balance):
        reference = pay_out(environment)
        clock.advance(later(days=5), environment.id)
        compare(environment, days=5)
        SandboxPayout.objects.filter(reference=reference).update(status="in_transit")

        compare(environment, days=5)

        assert differences(environment) == [("payout", "status", 1_000, 1_000)]
        assert Payout.objects.get(reference=reference).status == "paid"


def test_a_list_read_before_the_payout_went_on_cannot_undo_it(environment, balance):
    """The worker has the list in hand, the notice arrives, and only then is the list compared."""
    from payments.reconciling.comparing import comparison_of
    from payments.reconciling.runs import _look

    reference = pay_out(environment)
    clock.advance(later(days=3, hours=2), environment.id)
    run = begun(environment, at=later(days=4))
    look = _look(environment.id, "sandbox", stories.actor_in(environment), run.until, run.since, run.until)
    comparison = comparison_of("payout")
    (old,) = [each for each in comparison.listed(look, until=run.until) if each.reference == reference]
    clock.advance(later(days=5), environment.id)
    stories.deliver_notices(environment, at=later(days=5))

    comparison.compare([old], look)

    assert (old.status, Payout.objects.get(reference=reference).status) == ("in_transit", "paid")
    assert (look.found, look.imported) == ([], 0)


def test_the_number_of_statements_does_not_grow_with_what_agrees(environment, balance):
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            compare(environment)
        return len(captured)

    pay_out(environment, 500)
    compare(environment)
    few = statements()
    for hours in range(1, 8):
        pay_out(environment, 500, hours=hours)
    compare(environment)
    assert statements() == few


def test_two_merchants_never_see_each_others(environment, balance):
    pay_out(environment)
    rival = services.create_merchant(name="Rival", email="owner@rival.example")
    theirs = selectors.default_sandbox(rival.id)

    run = compare(theirs)

    assert (counts(run, "payout"), Payout.objects.filter(environment=theirs).count()) == ((0, 0, 0), 0)


@pytest.mark.processors("stripe")
def test_a_payout_of_stripes_is_learned_from_its_list_and_found_unchanged_after_that(environment):
    network = network_of(environment.id)
    stories.paid_order(environment, total=10_000)
    network.advance(network.moment(timezone.now() + timedelta(days=4)))
    with network.book.lock:
        made = network.book.pay_out("eur")
    at = network.moment(timezone.now()) + timedelta(minutes=1)

    first = reconcile(environment, at=at)
    second = reconcile(environment, at=at)

    payout = Payout.objects.get(reference=made["id"])
    (state,) = processor_of("stripe").list_payouts(environment_id=environment.id, since=first.since, until=at)
    assert (payout.money, payout.status) == (state.money, state.status)
    assert (counts(first, "payout"), counts(second, "payout")) == ((1, 1, 0), (1, 0, 0))
    assert (second.counted("imported"), differences(environment)) == (0, [])
