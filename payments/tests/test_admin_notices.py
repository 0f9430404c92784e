"""The work list of notices in the admin: what it shows, what the buttons do, and who may press them."""

import pytest
from django.urls import reverse
from django.utils import timezone

from flint.merchants import selectors
from flint.merchants import services as merchants
from flint.testing import stories
from flint.testing.staff import page, signed_in
from flint.testing.stories import deliver_notices, settled
from payments import inbound
from payments.models import ProcessorNotice
from payments.processors.sandbox import notices
from payments.tests.acts import going_wrong, later, pay

LIST = "admin:payments_processornotice_changelist"


@pytest.fixture
def finance(merchant):
    return signed_in(merchant, "finance", first_name="Fay", last_name="Ito")


@pytest.fixture
def unmatched(environment) -> ProcessorNotice:
    notices.write(environment.id, "payment.succeeded", "payment", "sbp_lost", at=timezone.now())
    deliver_notices(environment)
    inbound.handle_waiting(at=later(minutes=3))
    return ProcessorNotice.objects.get(reference="sbp_lost")


@pytest.fixture
def failed(api, environment) -> ProcessorNotice:
    order = stories.open_order(environment, total=3_400)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)
    with going_wrong(order, on="retrieve", fault="unreachable", times=None):
        deliver_notices(environment)
    return ProcessorNotice.objects.filter(status="failed").order_by("id")[0]


def url(view: str, notice: ProcessorNotice) -> str:
    return reverse(f"admin:payments_processornotice_{view}", args=[notice.id])


def shown(browser, **query) -> str:
    return page(browser.get(reverse(LIST), query))


def choose(browser, action: str, *chosen: ProcessorNotice, **more):
    data = {"action": action, "_selected_action": [each.id for each in chosen], **more}
    with settled():
        return browser.post(reverse(LIST), data, follow=True)


def test_the_list_shows_error_tries_and_next_try_and_is_filtered_by_what_is_left_to_do(finance, unmatched, failed):
    everything = shown(finance)
    assert "the processor has no payment sbp_lost" in everything and "Unreachable" in everything
    assert unmatched.reference in shown(finance, status__exact="unmatched")
    assert failed.reference not in shown(finance, status__exact="unmatched")
    people = shown(finance, work="people")
    assert unmatched.reference in people and failed.reference not in people
    ProcessorNotice.objects.filter(id=failed.id).update(created_at=later(minutes=-16))
    late = shown(finance, work="late")
    assert failed.reference in late and unmatched.reference not in late


def test_the_start_says_how_many_wait_and_where(finance, unmatched, merchant):
    start = page(finance.get(reverse("admin:index")))
    assert "<strong>1</strong> notices of processors wait for people" in start
    assert f"{reverse(LIST)}?work=people" in start and "work=late" not in start
    rival = merchants.create_merchant(name="Rival", email="r@rival.example")
    assert "wait for people" not in page(signed_in(rival, "owner").get(reverse("admin:index")))


def test_a_click_tries_one_again(finance, failed):
    assert url("retry", failed) in page(finance.get(url("change", failed)))
    with settled():
        response = finance.post(url("retry", failed), follow=True)
    assert "tried again now" in page(response)
    failed.refresh_from_db()
    assert failed.status == "handled"
    assert url("retry", failed) not in page(finance.get(url("change", failed)))
    again = finance.post(url("retry", failed), follow=True)
    assert "dealt with already" in page(again)


def test_one_is_set_aside_for_a_reason_in_a_name(finance, unmatched):
    refused = page(finance.post(url("aside", unmatched), {"reason": " "}, follow=True))
    unmatched.refresh_from_db()
    assert "Say in at most" in refused and unmatched.status == "unmatched"
    told = page(finance.post(url("aside", unmatched), {"reason": "<b>Till</b> two"}, follow=True))
    assert "By Fay Ito: &lt;b&gt;Till&lt;/b&gt; two" in told
    unmatched.refresh_from_db()
    assert unmatched.status == "set_aside"
    assert unmatched.reference not in shown(finance, work="people")


def test_several_are_tried_again(finance, failed):
    ProcessorNotice.objects.filter(status="failed").update(next_at=later(hours=1))
    response = choose(finance, "retry_selected", *ProcessorNotice.objects.filter(status="failed"))
    assert "tried again now" in page(response)
    assert set(ProcessorNotice.objects.values_list("status", flat=True)) == {"handled"}


def test_several_are_set_aside_once_a_reason_is_given(finance, unmatched, failed):
    asked = choose(finance, "set_aside_selected", unmatched, failed)
    assert unmatched.id in page(asked) and failed.id in page(asked)
    empty = choose(finance, "set_aside_selected", unmatched, failed, reason=" ")
    assert empty.status_code == 400
    assert not ProcessorNotice.objects.filter(status="set_aside").exists()
    done = choose(finance, "set_aside_selected", unmatched, failed, reason="All known")
    assert "2 notices are set aside" in page(done)
    assert set(ProcessorNotice.objects.filter(status="set_aside")) == {unmatched, failed}


@pytest.mark.parametrize(("role", "may"), [("owner", True), ("finance", True), ("developer", True), ("support", False)])
def test_only_who_may_acts(merchant, unmatched, role, may):
    browser = signed_in(merchant, role)
    assert (url("retry", unmatched) in page(browser.get(url("change", unmatched)))) == may
    assert ("set_aside_selected" in page(browser.get(reverse(LIST)))) == may
    assert browser.post(url("retry", unmatched)).status_code == (302 if may else 403)
    browser.post(url("aside", unmatched), {"reason": "Known"})
    choose(browser, "set_aside_selected", unmatched, reason="Known")
    unmatched.refresh_from_db()
    assert (unmatched.status == "set_aside") == may
    assert browser.get(url("retry", unmatched)).status_code == (405 if may else 403)


def test_nobody_acts_on_another_merchants(unmatched):
    rival = merchants.create_merchant(name="Rival", email="r@rival.example")
    stranger = signed_in(rival, "owner")
    assert stranger.post(url("retry", unmatched)).status_code == 404
    assert stranger.post(url("aside", unmatched), {"reason": "Mine"}).status_code == 404
    choose(stranger, "set_aside_selected", unmatched, reason="Mine")
    unmatched.refresh_from_db()
    assert unmatched.status == "unmatched"


def test_nobody_acts_where_they_may_only_look(merchant, unmatched):
    """Who handles notices for one merchant and only looks at another's gets no further there."""
    browser = signed_in(merchant, "support")
    rival = merchants.create_merchant(name="Rival", email="r@rival.example")
    merchants.add_staff(merchant=rival, user=browser.user, role="owner")
    theirs = selectors.default_sandbox(rival.id)
    notices.write(theirs.id, "payment.succeeded", "payment", "sbp_theirs", at=timezone.now())
    deliver_notices(theirs)
    mine = ProcessorNotice.objects.get(reference="sbp_theirs")
    assert choose(browser, "set_aside_selected", unmatched, mine, reason="Both").status_code == 403
    assert not ProcessorNotice.objects.filter(status="set_aside").exists()
    assert "1 notice is set aside" in page(choose(browser, "set_aside_selected", mine, reason="Known"))
