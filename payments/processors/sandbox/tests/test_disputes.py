"""What a buyer's bank does: every step tells, and every movement is counted, apart from the status."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from flint.money import Money
from payments.processors.base import Refused, Unreachable
from payments.processors.sandbox import clock, dashboard, disputes, faults, notices, tokens
from payments.processors.sandbox.effects import effects
from payments.processors.sandbox.models import SandboxDispute, SandboxNotice
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    at_once,
    capture,
    eur,
    give_back,
    hold,
    network,
    pay,
    see,
)

pytestmark = pytest.mark.django_db


def after(**delta):
    return timezone.now() + timedelta(**delta)


def of(payment) -> dict:
    return {"environment_id": payment.environment_id, "reference": payment.reference}


def see_dispute(dispute):
    return network.retrieve_dispute(environment_id=dispute.environment_id, reference=dispute.reference)


def disputes_of(payment) -> list:
    window = {"since": after(days=-30), "until": after(days=365)}
    listed = network.list_disputes(environment_id=payment.environment_id, **window)
    return [dispute for dispute in listed if dispute.payment_reference == payment.reference]


def told() -> list[str]:
    notices_ = SandboxNotice.objects.filter(kind="dispute").order_by("created_at", "id")
    return [notice.type.removeprefix("dispute.") for notice in notices_]


@pytest.mark.parametrize(
    ("token", "reason", "case_type", "status", "withdrawn"),
    [
        ("pm_card_createDispute", "fraudulent", "chargeback", "needs_response", 10_000),
        ("pm_card_createDisputeProductNotReceived", "product_not_received", "chargeback", "needs_response", 10_000),
        ("pm_card_createDisputeInquiry", "general", "inquiry", "warning_needs_response", 0),
        ("4000000000000259", "fraudulent", "chargeback", "needs_response", 10_000),
        ("4000000000002685", "product_not_received", "chargeback", "needs_response", 10_000),
        ("4000000000001976", "general", "inquiry", "warning_needs_response", 0),
    ],
)
def test_a_test_card_is_disputed_as_soon_as_it_paid(token, reason, case_type, status, withdrawn):
    if token.isdigit():
        token = tokens.tokenise(ENVIRONMENT, token, 12, 2099, "123")
    payment = pay(token)

    (dispute,) = disputes_of(payment)

    assert payment.status == "succeeded"
    assert (dispute.reason, dispute.case_type, dispute.status) == (reason, case_type, status)
    assert (dispute.money, dispute.withdrawn_amount) == (eur(10_000), withdrawn)
    assert dispute.evidence_due_at > timezone.now()
    assert dispute.created_at is not None
    assert see_dispute(dispute) == dispute
    assert (effects(ENVIRONMENT).charged_back, effects(ENVIRONMENT).net) == (withdrawn, 10_000 - withdrawn)
    assert told() == (["created", "funds_withdrawn"] if withdrawn else ["created"])


def test_a_hold_is_disputed_when_it_is_captured_and_for_what_was_taken():
    payment = hold("pm_card_createDispute")
    assert disputes_of(payment) == []

    capture(payment, 6_000)

    assert [dispute.money for dispute in disputes_of(payment)] == [eur(6_000)]


def test_money_that_was_not_taken_is_not_disputed():
    payment = hold()

    with pytest.raises(Refused) as refusal:
        dashboard.open_dispute(**of(payment), money=eur(100))

    assert refusal.value.code == "invalid_state"
    assert not SandboxDispute.objects.exists()
    assert told() == []


def test_a_dispute_is_for_any_amount_and_there_can_be_several():
    payment = pay(amount=10_000)
    give_back(payment, 3_000)

    first = dashboard.open_dispute(**of(payment), money=eur(4_000), reason="duplicate")
    second = dashboard.open_dispute(**of(payment), money=eur(10_320), reason="fraudulent")

    assert [dispute.reference for dispute in disputes_of(payment)] == [second.reference, first.reference]
    assert effects(ENVIRONMENT).charged_back == 14_320
    assert effects(ENVIRONMENT).net == 10_000 - 3_000 - 14_320


@pytest.mark.parametrize(("money", "code"), [(eur(0), "amount_too_small"), (Money(100, "USD"), "currency_mismatch")])
def test_an_amount_that_cannot_be_is_refused(money, code):
    with pytest.raises(Refused) as refusal:
        dashboard.open_dispute(**of(pay()), money=money)

    assert refusal.value.code == code
    assert effects(ENVIRONMENT).disputes == []


@pytest.mark.parametrize("changes", [{"reason": "whatever"}, {"case_type": "quarrel"}])
def test_reasons_and_case_types_are_the_contracts(changes):
    with pytest.raises(ValueError, match="known"):
        dashboard.open_dispute(**of(pay()), **changes)


def test_money_can_be_withdrawn_later_than_the_dispute_is_opened():
    dispute = dashboard.open_dispute(**of(pay()), withdraws=False)
    assert (dispute.status, dispute.withdrawn_amount) == ("needs_response", 0)

    dispute = dashboard.withdraw(**of(dispute), money=eur(4_000))
    dispute = dashboard.withdraw(**of(dispute), money=eur(6_500))

    assert dispute.withdrawn_amount == effects(ENVIRONMENT).charged_back == 10_500
    assert told() == ["created", "funds_withdrawn", "funds_withdrawn"]


def test_an_inquiry_that_is_escalated_takes_the_money():
    (inquiry,) = disputes_of(pay("pm_card_createDisputeInquiry"))

    dispute = dashboard.escalate(**of(inquiry), at=after(days=3))

    assert (dispute.status, dispute.case_type, dispute.withdrawn_amount) == ("needs_response", "chargeback", 10_000)
    assert dispute.evidence_due_at > inquiry.evidence_due_at
    assert told() == ["created", "updated", "funds_withdrawn"]
    with pytest.raises(Refused) as refusal:
        dashboard.escalate(**of(inquiry))
    assert refusal.value.code == "invalid_state"
    assert effects(ENVIRONMENT).charged_back == 10_000


def test_a_won_dispute_gives_the_money_back():
    dispute = dashboard.open_dispute(**of(pay()))

    dispute = dashboard.submit_evidence(**of(dispute))
    assert (dispute.status, dispute.has_evidence, dispute.evidence_submission_count) == ("under_review", True, 1)
    dispute = dashboard.win(**of(dispute))

    assert (dispute.status, dispute.withdrawn_amount) == ("won", 0)
    assert (effects(ENVIRONMENT).disputes.total, effects(ENVIRONMENT).charged_back) == (10_000, 0)
    assert told() == ["created", "funds_withdrawn", "updated", "closed", "funds_reinstated"]


def test_a_lost_dispute_keeps_what_is_withdrawn_and_takes_no_more():
    # As the network does when the dispute was too large: some comes back before it is lost.
    dispute = dashboard.open_dispute(**of(pay()), money=eur(10_000))
    dashboard.reinstate(**of(dispute), money=eur(3_000))
    dashboard.correct_dispute(**of(dispute), money=eur(7_000))

    dispute = dashboard.lose(**of(dispute))

    assert (dispute.status, dispute.money, dispute.withdrawn_amount) == ("lost", eur(7_000), 7_000)
    assert effects(ENVIRONMENT).charged_back == 7_000
    assert told() == ["created", "funds_withdrawn", "funds_reinstated", "updated", "closed"]


def test_no_more_is_reinstated_than_is_withdrawn():
    dispute = dashboard.open_dispute(**of(pay()), money=eur(5_000))

    with pytest.raises(Refused) as refusal:
        dashboard.reinstate(**of(dispute), money=eur(5_001))

    assert refusal.value.code == "amount_too_large"
    assert see_dispute(dispute).withdrawn_amount == effects(ENVIRONMENT).charged_back == 5_000


def test_what_was_lost_can_be_won_and_lost_again():
    dispute = dashboard.open_dispute(**of(pay()), money=eur(6_000))

    for verb, withdrawn in [(dashboard.lose, 6_000), (dashboard.win, 0), (dashboard.lose, 6_000)]:
        assert verb(**of(dispute)).withdrawn_amount == effects(ENVIRONMENT).charged_back == withdrawn


@pytest.mark.parametrize(
    ("verb", "status"), [(dashboard.close_warning, "warning_closed"), (dashboard.prevent, "prevented")]
)
def test_an_inquiry_ends_without_any_money(verb, status):
    (inquiry,) = disputes_of(pay("pm_card_createDisputeInquiry"))
    inquiry = dashboard.submit_evidence(**of(inquiry))
    assert inquiry.status == "warning_under_review"

    inquiry = verb(**of(inquiry))

    assert inquiry.status == status
    assert effects(ENVIRONMENT).disputes == []
    assert told() == ["created", "updated", "closed"]


def test_a_prevented_dispute_gives_the_money_back():
    dispute = dashboard.open_dispute(**of(pay()))

    dispute = dashboard.prevent(**of(dispute))

    assert (dispute.status, dispute.withdrawn_amount, effects(ENVIRONMENT).charged_back) == ("prevented", 0, 0)


@pytest.mark.parametrize(
    "verb", [dashboard.escalate, dashboard.close_warning, dashboard.submit_evidence, dashboard.prevent]
)
def test_what_is_decided_cannot_be_answered_or_avoided(verb):
    dispute = dashboard.lose(**of(dashboard.open_dispute(**of(pay()))))
    before = told()

    with pytest.raises(Refused) as refusal:
        verb(**of(dispute))

    assert refusal.value.code == "invalid_state"
    assert (see_dispute(dispute), told()) == (dispute, before)


@pytest.mark.parametrize(
    ("token", "status", "charged_back"),
    [("pm_card_createDispute", "lost", 10_000), ("pm_card_createDisputeInquiry", "warning_closed", 0)],
)
def test_who_does_not_answer_in_time_has_lost(token, status, charged_back):
    (dispute,) = disputes_of(pay(token))

    clock.advance(after(days=13))
    assert see_dispute(dispute).status == dispute.status
    assert clock.advance(after(days=15)) >= 1

    assert see_dispute(dispute).status == status
    assert effects(ENVIRONMENT).charged_back == charged_back


def test_who_answered_is_not_overtaken_by_time():
    (dispute,) = disputes_of(pay("pm_card_createDispute"))
    dashboard.submit_evidence(**of(dispute))

    clock.advance(after(days=60))

    assert see_dispute(dispute).status == "under_review"


def test_d034_a_debit_that_had_succeeded_is_returned_days_later():
    payment = pay("pm_usBankAccount_dispute", amount=15_000)
    assert see(payment).status == "processing"
    clock.advance(after(seconds=6))
    assert (see(payment).status, disputes_of(payment)) == ("succeeded", [])

    clock.advance(after(days=3))
    assert disputes_of(payment) == []
    clock.advance(after(days=5))

    (returned,) = disputes_of(payment)
    assert (returned.case_type, returned.reason, returned.status) == (
        "bank_return",
        "bank_debit_not_authorized",
        "lost",
    )
    assert (returned.money, returned.withdrawn_amount, returned.evidence_due_at) == (eur(15_000), 15_000, None)
    assert (see(payment).status, see(payment).captured_amount) == ("succeeded", 15_000)
    assert len(effects(ENVIRONMENT).charges) == 1
    assert (effects(ENVIRONMENT).refunds, effects(ENVIRONMENT).charged_back) == ([], 15_000)
    assert told() == ["created", "funds_withdrawn", "closed"]
    clock.advance(after(days=60))
    assert len(disputes_of(payment)) == 1


@pytest.mark.parametrize(("code", "reason"), disputes.RETURN_REASONS.items())
def test_a_debit_is_returned_for_the_reason_of_its_code(code, reason):
    payment = pay("pm_usBankAccount_success")
    clock.advance(after(seconds=6))

    returned = dashboard.return_debit(**of(payment), code=code, at=after(days=20))

    assert (returned.reason, returned.case_type, returned.status) == (reason, "bank_return", "lost")


def test_only_a_bank_debit_is_returned():
    with pytest.raises(Refused) as refusal:
        dashboard.return_debit(**of(pay()))

    assert refusal.value.code == "invalid_state"
    assert effects(ENVIRONMENT).disputes == []


def test_a_dispute_is_seen_in_its_own_environment_only():
    dispute = dashboard.open_dispute(**of(pay()))

    assert network.retrieve_dispute(environment_id=OTHER_ENVIRONMENT, reference=dispute.reference) is None
    assert network.retrieve_dispute(environment_id=ENVIRONMENT, reference="sbd_nothing") is None
    with pytest.raises(Refused) as refusal:
        dashboard.win(environment_id=OTHER_ENVIRONMENT, reference=dispute.reference)
    assert refusal.value.code == "not_found"


def test_asking_for_a_dispute_can_fail():
    dispute = dashboard.open_dispute(**of(pay()))
    faults.plan(ENVIRONMENT, on="retrieve", fault="unreachable")

    with pytest.raises(Unreachable):
        see_dispute(dispute)

    assert see_dispute(dispute) == dispute


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        ("drop", ["dispute.funds_withdrawn"]),
        ("duplicate", ["dispute.created", "dispute.created", "dispute.funds_withdrawn"]),
        ("reorder", ["dispute.funds_withdrawn", "dispute.created"]),
    ],
)
def test_notices_of_disputes_meet_misfortune_too(fault, heard):
    payment = pay()
    SandboxNotice.objects.all().delete()
    dispute = dashboard.open_dispute(**of(payment))
    faults.plan(ENVIRONMENT, on="notice", fault=fault)
    read = []

    def post(url, body, headers):
        read.append(network.read_notice(environment_id=ENVIRONMENT, headers=headers, body=body, at=after(seconds=1)))
        return 200

    notices.deliver(after(seconds=1), post=post)

    assert [notice.type for notice in read] == heard
    assert {(notice.kind, notice.reference) for notice in read} == {("dispute", dispute.reference)}


def test_the_database_refuses_to_reinstate_more_than_was_withdrawn():
    dashboard.open_dispute(**of(pay()))

    with pytest.raises(IntegrityError), transaction.atomic():
        SandboxDispute.objects.update(withdrawn_amount=-1)


@pytest.mark.django_db(transaction=True)
def test_two_decisions_at_once_give_the_money_back_once():
    dispute = dashboard.open_dispute(**of(pay()))

    at_once(lambda: dashboard.win(**of(dispute)), 4)

    assert effects(ENVIRONMENT).of_kind("dispute_reversal").total == 10_000
    assert see_dispute(dispute).withdrawn_amount == 0
