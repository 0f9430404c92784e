"""Reconciliation in the admin: who starts it, how it shows its progress, and what people do about a difference."""

import pytest
from django.urls import reverse

from flint.celery import collecting
from flint.events.models import Event
from flint.merchants.models import Role
from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import eur
from payments.models import ReconcileDifference, ReconcileRun
from payments.processors.sandbox import dashboard, faults
from payments.processors.sandbox.models import SandboxPayment
from payments.reconciling.runs import carry_out
from payments.tests.reconciling import begun, differences, reconcile

MAY = {Role.OWNER, Role.FINANCE}


@pytest.fixture
def finance(merchant):
    return signed_in(merchant, Role.FINANCE, first_name="Fay", last_name="Ito")


@pytest.fixture
def difference(environment) -> ReconcileDifference:
    dashboard.charge(environment_id=environment.id, money=eur(700))
    reconcile(environment)
    return ReconcileDifference.objects.get()


def start(browser, environment, **options):
    with collecting() as sent:
        response = browser.post(reverse("admin:payments_reconcilerun_start", args=[environment.id]), **options)
    return response, sent


def act(browser, what: str, difference: ReconcileDifference, **data):
    url = reverse(f"admin:payments_reconciledifference_{what}", args=[difference.id])
    return browser.post(url, data, follow=True)


def test_finance_starts_one_and_sees_it_get_on(finance, environment):
    shown = page(finance.get(reverse("admin:payments_reconcilerun_changelist")))
    assert reverse("admin:payments_reconcilerun_start", args=[environment.id]) in shown

    response, _ = start(finance, environment)

    run = ReconcileRun.objects.get()
    url = reverse("admin:payments_reconcilerun_change", args=[run.id])
    assert (response.status_code, response.url) == (302, url)
    assert (run.actor_kind, run.actor_label, run.status) == ("staff", "Fay Ito", "running")
    waiting = page(finance.get(url))
    assert '<meta http-equiv="refresh"' in waiting and "It waits for a worker" in waiting

    carry_out(run.id)

    done = page(finance.get(url))
    assert '<meta http-equiv="refresh"' not in done and "by Fay Ito" in done and "Succeeded" in done


def test_one_is_started_at_a_time(finance, environment):
    first = begun(environment)
    response, sent = start(finance, environment, follow=True)
    assert response.redirect_chain == [(reverse("admin:payments_reconcilerun_change", args=[first.id]), 302)]
    assert "is under way" in page(response)
    assert (ReconcileRun.objects.count(), sent) == (1, [])


@pytest.mark.parametrize("role", Role)
def test_who_may_start_one_and_deal_with_differences(role, merchant, environment, difference):
    browser = signed_in(merchant, role)
    runs = ReconcileRun.objects.count()
    may = role in MAY
    list_page = page(browser.get(reverse("admin:payments_reconcilerun_changelist")))
    assert (reverse("admin:payments_reconcilerun_start", args=[environment.id]) in list_page) == may
    row_page = page(browser.get(reverse("admin:payments_reconciledifference_change", args=[difference.id])))
    ignore = reverse("admin:payments_reconciledifference_ignore", args=[difference.id])
    assert (ignore in row_page) == may

    started, _ = start(browser, environment)
    retried = act(browser, "retry", difference)
    ignored = browser.post(ignore, {"reason": "Known."})

    assert (started.status_code, retried.status_code, ignored.status_code) == ((302, 200, 302) if may else (403,) * 3)
    assert ReconcileRun.objects.count() - runs == (1 if may else 0)
    difference.refresh_from_db()
    assert difference.status == ("ignored" if may else "open")


def test_nothing_is_started_by_looking(finance, environment, difference):
    for name, row in (
        ("reconcilerun_start", environment),
        ("reconciledifference_retry", difference),
        ("reconciledifference_ignore", difference),
    ):
        assert finance.get(reverse(f"admin:payments_{name}", args=[row.id])).status_code == 405
    assert ReconcileRun.objects.count() == 1


def test_ignoring_takes_a_reason_and_a_name(finance, environment, difference):
    assert "Say in at most" in page(act(finance, "ignore", difference, reason=" "))
    assert len(differences(environment)) == 1

    assert "off the work list" in page(act(finance, "ignore", difference, reason="The shop next door."))

    difference.refresh_from_db()
    assert (difference.ignored_by, difference.ignored_reason) == ("Fay Ito", "The shop next door.")
    event = Event.objects.get(type="reconciliation.difference_ignored")
    assert (event.actor_label, event.subject_id, event.order_id) == ("Fay Ito", difference.id, None)
    assert "The shop next door." in page(
        finance.get(reverse("admin:payments_reconciledifference_change", args=[difference.id]))
    )
    assert "settled in the meantime" in page(act(finance, "ignore", difference, reason="Twice."))


def test_looking_again_imports_what_can_be_booked_by_now(finance, environment):
    order = stories.paid_order(environment)
    SandboxPayment.objects.update(captured_amount=9_000)
    reconcile(environment)
    row = ReconcileDifference.objects.get()
    assert "It still differs." in page(act(finance, "retry", row))
    SandboxPayment.objects.update(captured_amount=10_000)

    assert "Both sides agree now." in page(act(finance, "retry", row))

    row.refresh_from_db()
    assert (row.status, row.order_id) == ("resolved", order.id)


def test_looking_again_while_the_processor_is_out_of_reach_says_so(finance, environment, difference):
    faults.plan(environment.id, on="retrieve", fault="unreachable", times=None)
    assert "could not be asked" in page(act(finance, "retry", difference))
    assert len(differences(environment)) == 1


def test_the_first_page_counts_what_is_open(finance, environment, difference):
    shown = page(finance.get(reverse("admin:index")))
    assert "differences with a processor are open" in shown
    listed = page(finance.get(reverse("admin:payments_reconciledifference_changelist"), {"work": "open"}))
    assert difference.reference in listed
    act(finance, "ignore", difference, reason="Known.")
    listed = page(finance.get(reverse("admin:payments_reconciledifference_changelist"), {"work": "open"}))
    assert difference.reference not in listed


def test_a_run_that_broke_off_says_why(finance, environment):
    faults.plan(environment.id, on="list", fault="unreachable", times=None)
    run = reconcile(environment)
    shown = page(finance.get(reverse("admin:payments_reconcilerun_change", args=[run.id])))
    assert "It broke off" in shown and "unreachable" in shown
