"""Notices that do not end by themselves: each has a place, is tried again, and is ended by people in their name."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.celery import collecting
from flint.events.models import Event
from flint.merchants import selectors
from flint.merchants import services as merchants
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import deliver_notices, eur, settled
from payments import inbound
from payments.models import PaymentOperation, ProcessorNotice
from payments.models.notices import TOO_LONG, TRIES_OF_OUR_OWN
from payments.processors.sandbox import dashboard, notices
from payments.processors.sandbox.accounts import account_of
from payments.processors.sandbox.models import SandboxPayment
from payments.services.notices import (
    NoticeAlreadyHandled,
    NoticeReasonRequired,
    purge_notices,
    retry_notice,
    set_aside_notice,
)
from payments.tests.acts import (
    at_once,
    charged,
    ended,
    going_wrong,
    later,
    nothing_moves,
    pay,
    reference_of,
)
from payments.tests.test_notices import post, waiting


@pytest.fixture
def somebody(environment) -> Actor:
    return Actor(kind="staff", environment_id=environment.id, id="7", label="Fay Ito", request_id="req-1")


@pytest.fixture
def paid_in_silence(api, environment):
    """An order whose payment went through, with an answer that got lost; nobody has told Flint."""
    order = stories.open_order(environment, total=3_400)
    with going_wrong(order, on="confirm", fault="lose_answer"):
        pay(api, order)
    return order


@pytest.fixture
def unmatched(environment) -> ProcessorNotice:
    """A notice about a payment that the processor does not know."""
    notices.write(environment.id, "payment.succeeded", "payment", "sbp_lost", at=timezone.now())
    deliver_notices(environment)
    inbound.handle_waiting(at=later(minutes=3))
    return ProcessorNotice.objects.get(reference="sbp_lost")


def told(environment) -> ProcessorNotice:
    """The newest notice that Flint has."""
    return ProcessorNotice.objects.filter(environment=environment).order_by("-created_at", "-id")[0]


class TestTaking:
    """The endpoint does next to nothing."""

    def test_a_notice_costs_at_most_five_statements_and_so_does_a_repeat(self, api, environment, paid_in_silence):
        first, *_ = waiting(environment)
        for _ in range(2):
            with (
                collecting(),
                CaptureQueriesContext(
                    connection,
                ) as statements,
            ):
                assert post(api, environment, first).status_code == 200
            work = [each["sql"] for each in statements if "SAVEPOINT" not in each["sql"]]
            # Signing it, as the sandbox does, reads the account once more.
            assert len(work) - 1 <= 5, work

    def test_a_notice_that_is_not_believed_writes_nothing(self, api, environment, paid_in_silence):
        told = waiting(environment)[0]
        account_of(environment.id)
        with CaptureQueriesContext(connection) as statements:
            assert post(api, environment, told, body=b"{}").status_code == 400
        assert [each["sql"] for each in statements if each["sql"].startswith(("INSERT", "UPDATE"))] == []


class TestWaiting:
    """What may still come right by itself is tried again; the rest is shown to people."""

    def test_d055_a_notice_that_comes_before_our_own_commit_stays_and_is_applied_soon_after(
        self, api, environment, paid_in_silence
    ):
        # The notice sees what another connection sees while our transaction is open: no such operation.
        operation = PaymentOperation.objects.get(payment_intent__order=paid_in_silence)
        SandboxPayment.objects.filter(operation_id=operation.id).update(operation_id="pop_01J00000000000000000000000")
        with nothing_moves(paid_in_silence):
            deliver_notices(environment)
        early = set(ProcessorNotice.objects.values_list("status", "attempts"))
        assert early == {("unmatched", 1)}
        assert not ProcessorNotice.objects.needing_people().exists()
        SandboxPayment.objects.filter(payment_intent_id=operation.payment_intent_id).update(operation_id=operation.id)

        inbound.handle_waiting(at=later(seconds=10))

        assert set(ProcessorNotice.objects.values_list("status", flat=True)) == {"handled"}
        assert_books(paid_in_silence, paid=3_400, balance=0, payment_status="paid")
        assert charged(paid_in_silence) == [3_400]

    def test_what_fits_nothing_is_left_to_people_after_two_minutes(self, unmatched):
        assert (unmatched.status, unmatched.next_at) == ("unmatched", None)
        assert list(ProcessorNotice.objects.needing_people()) == [unmatched]

    def test_a_notice_that_keeps_failing_is_shown_to_people_tried_hourly_and_given_up_after_a_week(
        self, environment, paid_in_silence
    ):
        start = timezone.now()
        with going_wrong(paid_in_silence, on="retrieve", fault="unreachable", times=None):
            deliver_notices(environment, handled=False)
            notice = told(environment)
            tries = []
            at = start
            while notice.next_at and at < start + timedelta(days=9):
                at = max(notice.next_at, at)
                inbound.handle(notice.id, at=at)
                notice.refresh_from_db()
                tries.append(at)
                is_shown = ProcessorNotice.objects.needing_people().filter(id=notice.id).exists()
                assert is_shown == (notice.attempts >= TRIES_OF_OUR_OWN)
        assert (notice.status, notice.next_at) == ("failed", None)
        assert timedelta(days=7) <= at - start < timedelta(days=7, hours=2)
        gaps = [(later - before) for before, later in zip(tries[12:], tries[13:], strict=False)]
        assert set(gaps) == {timedelta(hours=1)}
        assert ProcessorNotice.objects.needing_people().filter(id=notice.id).exists()

    def test_a_notice_that_waits_too_long_counts_as_late(self, environment, paid_in_silence):
        deliver_notices(environment, handled=False)
        count = ProcessorNotice.objects.count()
        late = ProcessorNotice.objects.waiting_too_long
        assert late(timezone.now()).count() == 0
        assert late(timezone.now() + TOO_LONG).count() == count
        inbound.handle_waiting()
        assert late(timezone.now() + TOO_LONG).count() == 0


class TestPlaces:
    """Everything that a processor may tell has a place, and none of it moves money that is not ours."""

    def test_a_type_that_nobody_handles_is_ignored_and_a_stranger_is_foreign(self, api, environment):
        order = stories.open_order(environment)
        dashboard.charge(environment_id=environment.id, money=eur(10_000))
        notices.write(environment.id, "account.updated", "other", "acct_1", at=timezone.now())
        with nothing_moves(order):
            deliver_notices(environment)
        assert sorted(ProcessorNotice.objects.values_list("kind", "status")) == [
            ("other", "ignored"),
            ("payment", "foreign"),
        ]
        assert not ProcessorNotice.objects.needing_people().exists()

    @pytest.mark.parametrize(
        "change", [{"currency": "USD"}, {"payment_intent_id": "pi_01J00000000000000000000000"}, {"operation_id": ""}]
    )
    def test_money_that_says_it_is_ours_but_does_not_fit_is_shown_to_people(self, environment, paid_in_silence, change):
        SandboxPayment.objects.filter(order_id=paid_in_silence.id).update(**change)
        with nothing_moves(paid_in_silence):
            deliver_notices(environment)
            inbound.handle_waiting(at=later(minutes=3))
        assert set(ProcessorNotice.objects.values_list("status", flat=True)) == {"unmatched"}
        assert ProcessorNotice.objects.needing_people().exists()

    def test_d068_test_traffic_and_other_accounts_never_touch_an_order(self, api, environment, merchant):
        live = selectors.live_environment(merchant.id)
        rival = selectors.default_sandbox(merchants.create_merchant(name="Rival", email="r@rival.example").id)
        ours, theirs = stories.open_order(environment), stories.open_order(rival)
        pay(api, ours)
        first, *_ = waiting(environment)
        with nothing_moves(theirs):
            # Signed by the one account, sent to the other, or to the live side of the same merchant.
            assert post(api, environment, first, route=f"/notices/sandbox/{rival.id}").status_code == 400
            assert post(api, environment, first, route=f"/notices/sandbox/{live.id}").status_code == 400
            # Signed by the other account itself, about a payment that is ours.
            notices.write(rival.id, "payment.succeeded", "payment", reference_of(ours), at=timezone.now())
            deliver_notices(rival)
            inbound.handle_waiting(at=later(minutes=3))
        assert list(ProcessorNotice.objects.values_list("environment_id", "status")) == [(rival.id, "unmatched")]


class TestActing:
    """People try a notice again, or set it aside; each is on record."""

    def test_a_retry_handles_it_now(self, environment, somebody, paid_in_silence):
        with going_wrong(paid_in_silence, on="retrieve", fault="unreachable", times=None):
            deliver_notices(environment)
        notice = told(environment)
        assert (notice.status, notice.next_at > timezone.now()) == ("failed", True)

        with settled():
            retry_notice(notice_id=notice.id, actor=somebody)

        notice.refresh_from_db()
        assert (notice.status, notice.last_error) == ("handled", "")
        assert_books(paid_in_silence, paid=3_400, balance=0)
        event = Event.objects.get(type="processor_notice.retried")
        assert (event.actor_label, event.subject_id, event.order_id) == ("Fay Ito", notice.id, None)
        assert event.data == {"previous_status": "failed"}

    def test_what_had_its_effect_is_not_tried_again(self, environment, somebody, paid_in_silence):
        deliver_notices(environment)
        with nothing_moves(paid_in_silence):
            for verb in (
                lambda id: retry_notice(notice_id=id, actor=somebody),
                lambda id: set_aside_notice(notice_id=id, reason="Done", actor=somebody),
            ):
                with pytest.raises(NoticeAlreadyHandled):
                    verb(told(environment).id)
        assert not Event.objects.filter(type__startswith="processor_notice.").exists()

    def test_one_set_aside_has_a_reason_a_name_and_a_time_and_is_off_the_list(self, unmatched, somebody):
        at = timezone.now()
        set_aside_notice(notice_id=unmatched.id, reason=" A till of another shop. ", actor=somebody, at=at)

        unmatched.refresh_from_db()
        assert (unmatched.status, unmatched.handled_at, unmatched.next_at) == ("set_aside", at, None)
        assert (unmatched.set_aside_by, unmatched.set_aside_reason) == ("Fay Ito", "A till of another shop.")
        assert not ProcessorNotice.objects.needing_people().exists()
        assert Event.objects.get(type="processor_notice.set_aside").actor_label == "Fay Ito"

    def test_one_set_aside_by_mistake_can_be_tried_again(self, unmatched, somebody):
        set_aside_notice(notice_id=unmatched.id, reason="By mistake", actor=somebody)
        with settled():
            retry_notice(notice_id=unmatched.id, actor=somebody)
        unmatched.refresh_from_db()
        assert (unmatched.status, unmatched.attempts) == ("unmatched", 3)

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\0b"])
    def test_a_reason_is_needed(self, unmatched, somebody, reason):
        with pytest.raises(NoticeReasonRequired):
            set_aside_notice(notice_id=unmatched.id, reason=reason, actor=somebody)
        unmatched.refresh_from_db()
        assert unmatched.status == "unmatched"

    def test_nobody_acts_on_somebody_elses(self, unmatched):
        stranger = actors.system("env_01J00000000000000000000000")
        for verb in (retry_notice, lambda **known: set_aside_notice(reason="Mine", **known)):
            with pytest.raises(ProcessorNotice.missing):
                verb(notice_id=unmatched.id, actor=stranger)

    @pytest.mark.django_db(transaction=True)
    def test_of_two_people_who_set_it_aside_one_is_told_that_it_was_done(self, unmatched, somebody):
        def set_aside(reason):
            return lambda: set_aside_notice(notice_id=unmatched.id, reason=reason, actor=somebody)

        done = ended(at_once(*(set_aside(f"Reason {n}") for n in range(4))), "NOTICE_ALREADY_HANDLED")
        assert len(done) == 1
        assert Event.objects.filter(type="processor_notice.set_aside").count() == 1


class TestForgetting:
    """What is over is forgotten after a while; what is not, never."""

    def test_only_what_is_over_is_forgotten_after_its_time_and_in_batches(
        self, environment, paid_in_silence, unmatched, settings
    ):
        settings.NOTICES_KEPT_DAYS = 30
        deliver_notices(environment)
        handled = ProcessorNotice.objects.filter(status="handled").count()
        assert handled >= 1
        assert purge_notices(at=timezone.now() + timedelta(days=29)) == 0

        assert purge_notices(at=timezone.now() + timedelta(days=31), batch=1) == handled

        assert list(ProcessorNotice.objects.all()) == [unmatched]

    def test_one_that_comes_again_after_it_was_forgotten_moves_nothing(self, api, environment, paid_in_silence):
        deliver_notices(environment)
        purge_notices(at=timezone.now() + timedelta(days=400))
        assert not ProcessorNotice.objects.exists()
        with nothing_moves(paid_in_silence), settled():
            assert post(api, environment, waiting(environment)[0]).status_code == 200
        assert_books(paid_in_silence, paid=3_400, balance=0)
