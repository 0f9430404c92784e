"""The network's dashboard for people: for the right ones only, and every button does what it says."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from flint.merchants import selectors, services
from flint.merchants.models import Environment
from flint.testing.staff import page, signed_in
from payments.processors.sandbox import accounts, clock, dashboard, pages
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import (
    SandboxDispute,
    SandboxMovement,
    SandboxNotice,
    SandboxPayment,
    SandboxPayout,
    SandboxRefund,
)
from payments.processors.sandbox.tests.calls import eur

pytestmark = pytest.mark.django_db


@pytest.fixture
def developer(merchant):
    return signed_in(merchant, "developer")


@pytest.fixture
def paid(environment):
    return dashboard.charge(environment_id=environment.id, money=eur(10_000))


def overview(environment) -> str:
    return reverse("sandbox:overview", args=[environment.id])


def shown(state) -> str:
    return reverse("sandbox:payment", args=[state.environment_id, state.reference])


def do(browser, kind, state, verb, **typed):
    """Press a button, and return the page that follows."""
    url = reverse("sandbox:act", args=[state.environment_id, kind, state.reference, verb])
    return page(browser.post(url, typed, follow=True))


def said(html: str) -> list[str]:
    return [text.replace("&#x27;", "'") for text in re.findall(r'class="said[^>]*>([^<]*)<', html)]


def addresses(environment, state) -> list[tuple[str, str]]:
    """Every address of the dashboard, with the method that it takes."""
    act = reverse("sandbox:act", args=[environment.id, "payment", state.reference, "refund"])
    posts = [reverse(f"sandbox:{name}", args=[environment.id]) for name in ("charge", "pay_out", "pass_time")]
    return [("get", overview(environment)), ("get", shown(state)), *(("post", url) for url in [act, *posts])]


def test_nobody_comes_in_without_signing_in(environment, paid, client):
    for method, url in addresses(environment, paid):
        response = getattr(client, method)(url)
        assert response.status_code == 302, url
        assert response["Location"].startswith(reverse("admin:login"))
    assert effects(environment.id).net == 10_000


@pytest.mark.parametrize("role", ["support", "finance", "none", "elsewhere"])
def test_to_whom_it_is_not_for_there_is_no_such_page(environment, paid, merchant, role):
    elsewhere = services.create_merchant(name="Other", email="other@example.com")
    browser = {
        "none": lambda: signed_in(None),
        "elsewhere": lambda: signed_in(elsewhere, "owner"),
    }.get(role, lambda: signed_in(merchant, role))()
    typed = {"amount": "1.00", "days": "3", "currency": "EUR", "token": "pm_card_visa"}

    for method, url in addresses(environment, paid):
        assert getattr(browser, method)(url, typed).status_code == 404, url
    assert effects(environment.id).net == 10_000
    assert SandboxPayment.objects.count() == 1


@pytest.mark.parametrize("role", ["owner", "developer"])
def test_there_is_none_where_money_is_real(merchant, role):
    live = Environment.objects.get(merchant=merchant, kind="live")
    state = dashboard.charge(environment_id=live.id, money=eur(10_000))
    browser = signed_in(merchant, role)

    for method, url in addresses(live, state):
        assert getattr(browser, method)(url, {"amount": "1.00"}).status_code == 404, url
    assert "Sandbox network" not in page(browser.get(reverse("admin:merchants_environment_change", args=[live.id])))
    assert effects(live.id).net == 10_000


def test_somebody_elses_payment_is_not_reached_through_ones_own_sandbox(environment, developer):
    other = services.create_merchant(name="Other", email="other@example.com")
    theirs = dashboard.charge(environment_id=selectors.default_sandbox(other.id).id, money=eur(10_000))

    mine = [reverse("sandbox:payment", args=[environment.id, theirs.reference])]
    acts = [reverse("sandbox:act", args=[environment.id, "payment", theirs.reference, "refund"])]

    assert [developer.get(url).status_code for url in mine] == [404]
    assert [developer.post(url, {"amount": "1.00"}).status_code for url in acts] == [404]
    assert developer.get(overview(environment), {"behind": theirs.reference}).status_code == 404
    assert theirs.reference not in page(developer.get(overview(environment)))
    assert effects(theirs.environment_id).refunds == []


def test_a_form_without_its_token_is_refused(environment, paid, developer):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(developer.user)

    for method, url in addresses(environment, paid):
        if method == "post":
            assert strict.post(url, {"amount": "1.00", "days": "3"}).status_code == 403
    assert effects(environment.id).net == 10_000


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_nothing_is_done_by_looking(environment, paid, developer, method):
    for taken, url in addresses(environment, paid):
        if taken == "post":
            assert getattr(developer, method)(url).status_code == 405
    assert effects(environment.id).net == 10_000


def test_the_admin_leads_to_it_who_may_use_it(environment, merchant, developer):
    here = reverse("admin:merchants_environment_change", args=[environment.id])

    assert f'href="{overview(environment)}"' in page(developer.get(here))
    assert here in page(developer.get(overview(environment)))


def test_the_pages_run_no_script_and_are_not_framed_or_kept(environment, paid, developer):
    for url in (overview(environment), shown(paid)):
        response = developer.get(url)
        html = page(response)
        assert "<script" not in html
        assert "style=" not in html
        assert "default-src 'none'" in response["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
        assert "no-store" in response["Cache-Control"]


def test_a_hold_is_captured_or_let_go(environment, developer):
    first, second = (
        dashboard.charge(environment_id=environment.id, money=eur(10_000), capture_method="manual") for _ in range(2)
    )
    assert "Capture</button>" in page(developer.get(shown(first)))

    assert said(do(developer, "payment", first, "capture", amount="60.00")) == ["Capture: done."]
    assert said(do(developer, "payment", second, "cancel")) == ["Cancel: done."]

    assert effects(environment.id).charges.total == 6_000
    assert SandboxPayment.objects.get(reference=second.reference).status == "canceled"
    assert "Capture</button>" not in page(developer.get(shown(first)))


def test_a_refund_is_made_and_fails(environment, paid, developer):
    html = do(developer, "payment", paid, "refund", amount="40")
    refund = SandboxRefund.objects.get()
    assert said(html) == ["Refund: done."]
    assert 'value="60.00"' in html, "what is left is suggested"

    do(developer, "refund", refund, "fail")

    assert SandboxRefund.objects.get().status == "failed"
    assert [effect.kind for effect in effects(environment.id)] == ["charge", "refund", "refund_failed"]


def test_a_dispute_is_opened_and_goes_through_all_that_can_happen(environment, paid, developer):
    opened = {"amount": "103.20", "reason": "duplicate", "case_type": "chargeback", "withdraws": "on"}
    html = do(developer, "payment", paid, "dispute", **opened)
    dispute = SandboxDispute.objects.get()
    assert "Dispute over €103.20" in html
    assert (dispute.reason, dispute.withdrawn_amount) == ("duplicate", 10_320)
    steps = [
        ("submit_evidence", {}, "under_review", 10_320),
        ("reinstate", {"amount": "3.20"}, "under_review", 10_000),
        ("correct", {"amount": "100"}, "under_review", 10_000),
        ("win", {}, "won", 0),
        ("lose", {}, "lost", 10_000),
        ("withdraw", {"amount": "0.50"}, "lost", 10_050),
    ]

    for verb, typed, status, withdrawn in steps:
        assert said(do(developer, "dispute", dispute, verb, **typed))[0].endswith("done.")
        now = SandboxDispute.objects.get()
        assert (now.status, now.withdrawn_amount) == (status, withdrawn), verb

    assert now.amount == 10_000
    assert effects(environment.id).charged_back == 10_050


@pytest.mark.parametrize(
    ("verb", "status"), [("escalate", "needs_response"), ("close_warning", "warning_closed"), ("prevent", "prevented")]
)
def test_an_inquiry_goes_on_or_ends(environment, developer, verb, status):
    payment = dashboard.charge(environment_id=environment.id, money=eur(100), token="pm_card_createDisputeInquiry")
    dispute = SandboxDispute.objects.get()
    assert "Win</button>" not in page(developer.get(shown(payment)))

    do(developer, "dispute", dispute, verb)

    assert SandboxDispute.objects.get().status == status


def test_a_dispute_that_withdraws_later_is_opened_without_the_tick(environment, paid, developer):
    do(developer, "payment", paid, "dispute", amount="10", reason="general", case_type="chargeback")

    assert SandboxDispute.objects.get().withdrawn_amount == 0


def test_a_debit_is_returned_and_a_card_is_not_offered_to_be(environment, paid, developer):
    debit = dashboard.charge(environment_id=environment.id, money=eur(5_000), token="pm_usBankAccount_success")
    page(developer.post(reverse("sandbox:pass_time", args=[environment.id]), {"days": "1"}, follow=True))
    assert "Return debit" in page(developer.get(shown(debit)))
    assert "Return debit" not in page(developer.get(shown(paid)))

    do(developer, "payment", debit, "return", code="R02")

    dispute = SandboxDispute.objects.get()
    assert (dispute.case_type, dispute.reason, dispute.status) == ("bank_return", "bank_account_closed", "lost")


def test_a_payment_can_come_from_elsewhere(environment, developer):
    url = reverse("sandbox:charge", args=[environment.id])

    typed = {"amount": "12.50", "currency": "eur", "token": "pm_card_mastercard", "holds": "on"}
    html = page(developer.post(url, typed, follow=True))

    payment = SandboxPayment.objects.get()
    assert (payment.amount, payment.currency, payment.status) == (1_250, "EUR", "requires_capture")
    assert payment.operation_id == payment.order_id == ""
    assert payment.reference in html


def test_time_brings_what_is_due_and_writes_nothing_into_the_future(environment, paid, developer):
    debit = dashboard.charge(environment_id=environment.id, money=eur(5_000), token="pm_usBankAccount_success")

    html = page(developer.post(reverse("sandbox:pass_time", args=[environment.id]), {"days": "8"}, follow=True))

    payout = SandboxPayout.objects.get(amount=9_680 + 4_825)
    assert SandboxPayment.objects.get(reference=debit.reference).status == "succeeded"
    assert (payout.status, payout.is_automatic) == ("paid", True)
    assert payout.reference in html
    now = timezone.now()
    assert max(SandboxNotice.objects.values_list("created_at", flat=True)) <= now
    assert max(SandboxMovement.objects.values_list("at", flat=True)) <= now
    assert payout.created_at <= now


def test_what_is_available_is_paid_out_by_hand_called_back_and_sent_back(environment, paid, developer):

    from django.utils import timezone

    accounts.pay_out_daily(environment.id, False)
    clock.advance(timezone.now() + timedelta(days=3), environment.id)
    url = reverse("sandbox:pay_out", args=[environment.id])
    for amount in ("40.00", "30.00"):
        assert said(page(developer.post(url, {"amount": amount, "currency": "EUR"}, follow=True))) == [
            "The payout is on its way."
        ]
    too_much = page(developer.post(url, {"amount": "26.81", "currency": "EUR"}, follow=True))
    assert said(too_much) == ["There is not as much available."]
    first, second = SandboxPayout.objects.order_by("created_at", "reference")

    do(developer, "payout", first, "cancel")
    do(developer, "payout", second, "fail", code="no_account")

    statuses = SandboxPayout.objects.order_by("created_at", "reference").values_list("status", "failure_code")
    assert list(statuses) == [("canceled", ""), ("failed", "no_account")]


@pytest.mark.parametrize(
    ("verb", "typed", "words"),
    [
        ("refund", {"amount": "100.01"}, "At most €100.00 is left."),
        ("refund", {"amount": "12,50"}, "Write the amount like 12.50, without a currency sign."),
        ("refund", {}, "Write an amount."),
        ("capture", {"amount": "1"}, "A payment that is succeeded has no hold to capture."),
        ("dispute", {"amount": "1", "reason": "whatever", "case_type": "chargeback"}, "Select a valid choice."),
        ("return", {"code": "R01"}, "Only a bank debit can be returned; a card is charged back."),
    ],
)
def test_what_cannot_be_done_is_said_and_moves_nothing(environment, paid, developer, verb, typed, words):
    before = SandboxNotice.objects.count()

    assert said(do(developer, "payment", paid, verb, **typed))[0].startswith(words)

    assert [effect.kind for effect in effects(environment.id)] == ["charge"]
    assert SandboxNotice.objects.count() == before


@pytest.mark.parametrize(("kind", "verb"), [("payment", "explode"), ("payment", "win"), ("account", "cancel")])
def test_there_are_no_other_verbs(environment, paid, developer, kind, verb):
    url = reverse("sandbox:act", args=[environment.id, kind, paid.reference, verb])

    assert developer.post(url).status_code == 404


def test_payments_come_page_by_page_in_as_many_questions_however_many_there_are(environment, developer):
    def questions() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(developer.get(overview(environment)))
        return len(captured)

    made = [dashboard.charge(environment_id=environment.id, money=eur(100 + number)) for number in range(2)]
    few = questions()
    made += [dashboard.charge(environment_id=environment.id, money=eur(200 + number)) for number in range(pages.PAGE)]

    assert questions() == few
    first = page(developer.get(overview(environment)))
    older = re.search(r'href="\?behind=([^"]+)"', first)[1]
    second = page(developer.get(overview(environment), {"behind": older}))

    listed = [set(re.findall(r">(sbp_\w+)<", html)) for html in (first, second)]
    assert [len(each) for each in listed] == [pages.PAGE, 2]
    assert listed[0] | listed[1] == {state.reference for state in made}
    assert "behind=" not in second
