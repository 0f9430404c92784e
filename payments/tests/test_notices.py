"""Processor notices: believed by their signature, stored once, handled once, and no matter how they come."""

import json
import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from flint.celery import collecting
from flint.merchants import selectors
from flint.merchants import services as merchants
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.processors import network_of
from flint.testing.stories import deliver_notices, eur, settled, sweep
from payments import inbound
from payments.models import PaymentOperation, ProcessorNotice
from payments.processors.sandbox import clock, dashboard, notices
from payments.processors.sandbox.accounts import account_of, rotate_secret
from payments.processors.sandbox.models import SandboxNotice
from payments.tests.acts import (
    DEBIT,
    DECLINED,
    THREE_D_SECURE,
    at_processor,
    authenticate,
    capture,
    charged,
    going_wrong,
    hold,
    later,
    nothing_moves,
    pay,
    reference_of,
)


def post(api, environment, notice: SandboxNotice, **changes):
    """Post a notice as the sandbox does; ``at``, ``body``, ``signed_by`` and ``route`` make it go wrong."""
    body = notices.body_of(notice)
    account = account_of(changes.get("signed_by", environment).id)
    signature = notices.sign(account, body, changes.get("at", timezone.now()))
    route = changes.get("route", f"/notices/sandbox/{environment.id}")
    return api.http.post(
        route, changes.get("body", body), content_type="application/json", headers={notices.HEADER: signature}
    )


def waiting(environment) -> list[SandboxNotice]:
    """The notices that the sandbox has written, oldest first."""
    return list(SandboxNotice.objects.filter(environment_id=environment.id).order_by("created_at", "id"))


def stored() -> list[str]:
    return list(ProcessorNotice.objects.order_by("created_at", "id").values_list("status", flat=True))


@pytest.fixture
def paid_in_silence(api, environment):
    """An order whose bank debit has settled at the processor; nobody has told Flint."""
    order = stories.open_order(environment, total=5_300)
    pay(api, order, DEBIT)
    clock.advance(later(minutes=1), environment.id)
    return order


class TestTaking:
    """Verify, store once, answer."""

    def test_a_notice_is_stored_once_however_often_it_comes(self, api, environment, paid_in_silence):
        told = waiting(environment)[-1]

        with settled():
            answers = [post(api, environment, told).status_code for _ in range(3)]

        assert (answers, stored()) == ([200, 200, 200], ["handled"])
        assert_books(paid_in_silence, paid=5_300, payment_status="paid")

    def test_bytes_that_were_changed_are_refused_and_not_stored(self, api, environment, paid_in_silence):
        told = waiting(environment)[-1]
        forged = json.dumps(json.loads(notices.body_of(told)) | {"reference": "sbp_other"}).encode()

        with nothing_moves(paid_in_silence):
            assert post(api, environment, told, body=forged).status_code == 400
            assert post(api, environment, told, body=b"").status_code == 400

        assert stored() == []

    def test_a_signature_that_is_old_missing_or_somebody_elses_is_refused(self, api, environment, paid_in_silence):
        told = waiting(environment)[-1]
        rival = selectors.default_sandbox(merchants.create_merchant(name="Rival", email="r@rival.example").id)
        route = f"/notices/sandbox/{environment.id}"

        with nothing_moves(paid_in_silence):
            assert post(api, environment, told, at=timezone.now() - timedelta(minutes=6)).status_code == 400
            assert post(api, environment, told, signed_by=rival).status_code == 400
            assert api.http.post(route, notices.body_of(told), content_type="application/json").status_code == 400

        assert stored() == []

    def test_a_notice_for_another_environment_or_processor_is_not_taken(self, api, environment, paid_in_silence):
        told = waiting(environment)[-1]
        rival = selectors.default_sandbox(merchants.create_merchant(name="Rival", email="r@rival.example").id)

        for route, status in (
            ("/notices/sandbox/env_01J9Z6W2V7Q0M3T8K4B5N6P7R8", 404),
            (f"/notices/unheard-of/{environment.id}", 404),
            (f"/notices/sandbox/{rival.id}", 400),
        ):
            assert post(api, environment, told, route=route).status_code == status
        assert api.http.get(f"/notices/sandbox/{environment.id}").status_code == 405

        assert stored() == []

    def test_a_secret_that_is_being_rotated_out_is_still_believed(self, api, environment, paid_in_silence):
        told = waiting(environment)[-1]
        body = notices.body_of(told)
        signature = notices.sign(account_of(environment.id), body, timezone.now())
        rotate_secret(environment.id)

        answer = api.http.post(
            f"/notices/sandbox/{environment.id}",
            body,
            content_type="application/json",
            headers={notices.HEADER: signature},
        )

        assert (answer.status_code, stored()) == (200, ["received"])

    def test_d165_the_task_starts_after_the_notice_is_committed(self, api, environment, paid_in_silence):
        told = waiting(environment)[-1]

        with collecting() as tasks:
            post(api, environment, told)
            assert tasks == []

        assert stored() == ["received"]

    def test_a_notice_whose_task_was_lost_is_handled_by_the_beat(self, api, environment, paid_in_silence):
        post(api, environment, waiting(environment)[-1])

        inbound.handle_waiting(at=later(seconds=1))

        assert stored() == ["handled"]
        assert_books(paid_in_silence, paid=5_300)


class TestHandling:
    """A failure is kept and tried again; what fits nothing is kept for people."""

    def test_d063_a_notice_that_cannot_be_handled_keeps_its_error_and_is_tried_again(
        self, environment, paid_in_silence
    ):
        out_of_reach = {"on": "retrieve", "fault": "unreachable", "times": None}
        with going_wrong(paid_in_silence, **out_of_reach), nothing_moves(paid_in_silence):
            deliver_notices(environment)
            inbound.handle_waiting(at=later(minutes=1))
        first = ProcessorNotice.objects.order_by("id")[0]
        assert (first.status, first.attempts, "Unreachable" in first.last_error) == ("failed", 2, True)

        inbound.handle_waiting(at=later(minutes=10))

        assert set(stored()) == {"handled"}
        assert_books(paid_in_silence, paid=5_300, balance=0)
        assert [entry.kind for entry in paid_in_silence.entries.all()].count("capture") == 1

    def test_d064_a_notice_that_failed_is_not_called_seen_when_sent_again(self, api, environment, paid_in_silence):
        told = waiting(environment)[-1]
        with going_wrong(paid_in_silence, on="retrieve", fault="unreachable"), settled():
            post(api, environment, told)
        assert stored() == ["failed"]
        ProcessorNotice.objects.update(next_at=timezone.now())

        with settled():
            post(api, environment, told)

        assert stored() == ["handled"]
        assert_books(paid_in_silence, paid=5_300, balance=0)

    def test_a_notice_that_one_worker_has_is_left_alone_by_the_others(self, environment, paid_in_silence):
        deliver_notices(environment, handled=False)
        notice = ProcessorNotice.objects.order_by("id")[0]
        ProcessorNotice.objects.filter(id=notice.id).update(next_at=timezone.now() + inbound.LEASE)

        with nothing_moves(paid_in_silence):
            inbound.handle(notice.id)

        inbound.handle(notice.id, at=timezone.now() + inbound.LEASE + timedelta(seconds=1))
        notice.refresh_from_db()
        assert notice.status == "handled"

    @pytest.mark.parametrize("kind", ["payment", "refund"])
    def test_a_notice_about_nothing_of_ours_is_kept_as_unmatched(self, environment, kind):
        notices.write(environment.id, f"{kind}.succeeded", kind, "sbp_of_somebody_else", at=timezone.now())

        deliver_notices(environment)
        inbound.handle_waiting(at=later(minutes=3))

        notice = ProcessorNotice.objects.get()
        assert (notice.status, notice.next_at, "sbp_of_somebody_else" in notice.last_error) == ("unmatched", None, True)

    def test_a_notice_of_a_kind_that_nobody_handles_is_filed(self, environment):
        notices.write(environment.id, "account.updated", "other", "acct_1", at=timezone.now())

        deliver_notices(environment)

        assert stored() == ["ignored"]

    def test_money_that_no_operation_of_ours_asked_for_is_not_booked_whatever_its_metadata_says(self, api, environment):
        order = stories.open_order(environment)
        pay(api, order, DECLINED)
        leg = order.payment_intents.get()
        deliver_notices(environment)

        with nothing_moves(order):
            stranger = {"environment_id": environment.id, "money": eur(10_000)}
            dashboard.charge(**stranger)
            deliver_notices(environment)
        dashboard.charge(**stranger, payment_intent_id=leg.id)
        deliver_notices(environment)

        assert stored()[-2:] == ["foreign", "unmatched"]
        assert_books(order, paid=0, outstanding=10_000, processor=False)


def declined_then_paid(api, environment):
    order = stories.open_order(environment)
    pay(api, order, DECLINED)
    pay(api, order)
    return order


def authenticated(api, environment):
    order = stories.open_order(environment)
    authenticate(api, pay(api, order, THREE_D_SECURE))
    return order


def refused_by_the_buyer(api, environment):
    order = stories.open_order(environment)
    authenticate(api, pay(api, order, THREE_D_SECURE), "fail")
    return order


def debited(api, environment):
    order = stories.open_order(environment, currency="USD")
    pay(api, order, DEBIT)
    network_of(environment).advance(later(minutes=1))
    return order


def captured_in_part(api, environment):
    order = stories.open_order(environment)
    leg, attempt = hold(api, order)
    capture(api, order, leg, attempt, 4_000)
    return order


def captured_elsewhere(api, environment):
    order = stories.open_order(environment)
    hold(api, order)
    network_of(environment).capture(reference_of(order), eur(2_500))
    return order


def lapsed(api, environment):
    order = stories.open_order(environment)
    hold(api, order)
    network_of(environment).advance(later(days=8))
    return order


def answer_lost(api, environment):
    order = stories.open_order(environment)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)
    return order


def refunded_twice(api, environment):
    order = stories.paid_order(environment)
    stories.refund(order, amount_money=eur(1_000))
    with going_wrong(order, on="refund", fault="lose_answer"):
        stories.refund(order, amount_money=eur(2_000))
    return order


def refund_bounced(api, environment):
    order = stories.open_order(environment)
    pay(api, order, "pm_card_refundFail")
    stories.refund(order, amount_money=eur(3_000))
    network_of(environment).advance(later(minutes=1))
    return order


def refund_arrived_late(api, environment):
    order = stories.open_order(environment)
    pay(api, order, "pm_card_pendingRefund")
    stories.refund(order, amount_money=eur(3_000))
    network_of(environment).advance(later(minutes=1))
    return order


ENDS: dict[Callable, dict] = {
    declined_then_paid: {"paid": 10_000, "payment_status": "paid"},
    authenticated: {"paid": 10_000, "payment_status": "paid"},
    refused_by_the_buyer: {"paid": 0, "payment_status": "unpaid"},
    debited: {"paid": 10_000, "payment_status": "paid"},
    captured_in_part: {"paid": 4_000, "payment_status": "partially_paid"},
    captured_elsewhere: {"paid": 2_500, "payment_status": "partially_paid"},
    lapsed: {"paid": 0, "payment_status": "unpaid"},
    answer_lost: {"paid": 10_000, "payment_status": "paid"},
    refunded_twice: {"paid": 10_000, "refunded": 3_000, "credit": 3_000, "refund_status": "partially_refunded"},
    refund_bounced: {"paid": 10_000, "refunded": 0, "credit": 0, "refund_status": "none"},
    refund_arrived_late: {"paid": 10_000, "refunded": 3_000, "credit": 3_000, "refund_pending": 0},
}


@pytest.mark.processors("sandbox", "stripe")
@pytest.mark.parametrize("story", ENDS, ids=lambda story: story.__name__)
class TestHoweverTheyCome:
    """The order ends the same, however often, in whatever sequence, or never, its notices come."""

    def test_five_times_each_in_random_order(self, api, environment, story):
        order = story(api, environment)
        network, shuffled = network_of(environment), random.Random(story.__name__)

        def post_for_real(url, body, headers):
            with settled():
                path = url.removeprefix("http://testserver")
                return api.http.post(path, body, content_type="application/json", headers=headers).status_code

        told = network.send_each(timezone.now(), post_for_real, lambda told: shuffled.sample(told * 5, len(told) * 5))
        sweep(at=later(seconds=30))

        assert_books(order, **ENDS[story])
        assert set(stored()) == {"handled"}
        assert len(stored()) == told
        with nothing_moves(order):
            deliver_notices(environment)
            sweep(at=later(days=8))

    def test_never(self, api, environment, story):
        order = story(api, environment)

        sweep(at=later(minutes=2))
        sweep(at=later(hours=7))

        assert_books(order, **ENDS[story])
        with nothing_moves(order):
            sweep(at=later(hours=20))
            deliver_notices(environment)

    @pytest.mark.parametrize("fault", ["duplicate", "reorder", "delay", "lose_answer", "unreachable", "drop"])
    def test_disturbed(self, api, environment, story, fault):
        order = story(api, environment)

        with going_wrong(order, on="notice", fault=fault, times=2):
            deliver_notices(environment)
        deliver_notices(environment, at=later(minutes=1))
        sweep(at=later(minutes=2))
        sweep(at=later(hours=7))

        assert_books(order, **ENDS[story])


def test_d060_d061_d062_no_sequence_of_notices_moves_a_settled_payment_back(api, environment):
    order = stories.open_order(environment, total=4_400)
    pay(api, order, DEBIT)
    reference = PaymentOperation.objects.get(payment_intent__order=order).reference
    network_of(environment).advance(later(minutes=1))
    same_second = timezone.now()
    for type in ("payment.created", "payment.processing", "payment.succeeded", "payment.requires_action"):
        notices.write(environment.id, type, "payment", reference, at=same_second)

    for notice in reversed(waiting(environment)):
        with settled():
            post(api, environment, notice)
        assert_books(order, paid=4_400, balance=0, payment_status="paid")

    assert order.payment_intents.count() == 1
    assert charged(order) == [4_400]


def test_d022_bad_news_of_one_attempt_never_touches_another(api, environment):
    order = stories.open_order(environment, total=9_000)
    pay(api, order, DECLINED)
    pay(api, order)
    reference = PaymentOperation.objects.filter(payment_intent__order=order).order_by("id")[0].reference
    dashboard.cancel(environment_id=environment.id, reference=reference)
    notices.write(environment.id, "payment.failed", "payment", reference, at=timezone.now())

    deliver_notices(environment)

    assert_books(order, paid=9_000, balance=0, payment_status="paid")
    assert [effect.kind for effect in at_processor(order)] == ["charge"]
    assert sorted(order.payment_attempts.values_list("status", flat=True)) == ["failed", "succeeded"]


def test_d055_a_notice_that_overtakes_the_answer_is_applied(api, environment):
    order = stories.open_order(environment, total=3_400)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)

    deliver_notices(environment)

    assert stored() == ["handled"]
    assert_books(order, paid=3_400, balance=0, payment_status="paid")
    assert charged(order) == [3_400]
