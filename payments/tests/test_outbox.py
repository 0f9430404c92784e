"""The outbox: written with the fact, sent once, by whoever comes first, and again later where nobody took it."""

from datetime import timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from django.utils import timezone

from flint.celery import collecting
from flint.languages import Language
from flint.testing import stories
from flint.testing.secrets import everything_logged
from flint.testing.stories import actor_in
from orders.models import Order
from payments.messages import asking, outbox, sending
from payments.messages.addresses import receipt_url
from payments.models import Message
from payments.tests.acts import at_once, later
from payments.tests.mails import ADA, paid, queued

pytestmark = pytest.mark.django_db(transaction=True)


class MailServer(EmailBackend):
    """A mail server that fails as it is told to, and counts who came."""

    failure: Exception | None = None
    calls = 0

    def send_messages(self, messages):
        type(self).calls += 1
        if self.failure:
            raise self.failure
        return super().send_messages(messages)


@pytest.fixture
def server(settings):
    settings.EMAIL_BACKEND = "payments.tests.test_outbox.MailServer"
    MailServer.failure, MailServer.calls = None, 0
    yield MailServer
    MailServer.failure = None


@pytest.fixture
def waiting(environment, server):
    """An order that was paid while no worker was there."""
    order = stories.open_order(environment, total=4_900)
    with collecting():
        stories.pay(order, buyer_contact={"email": ADA})
    return order


def test_a_payment_needs_no_mail_server(environment, server):
    server.failure = ConnectionRefusedError(111, "Connection refused")
    order = paid(environment)
    message = queued(order)
    assert order.payment_status == "paid"
    assert (message.status, message.attempts, message.error) == ("queued", 1, "ConnectionRefusedError")
    assert message.next_at > timezone.now()


def test_it_is_sent_later_when_the_server_is_back_and_then_no_more(waiting, server):
    server.failure = SMTPServerDisconnected("gone")
    assert sending.send_due() == 0
    assert queued(waiting).status == "queued" and mail.outbox == []
    server.failure = None
    assert sending.send_due() == 0, "it is not due yet"
    assert sending.send_due(at=later(minutes=1)) == 1
    assert sending.send_due(at=later(days=1)) == 0
    assert len(mail.outbox) == 1 and queued(waiting).status == "sent"
    assert waiting.events.filter(type="order.message_sent").count() == 1


def test_the_pauses_grow_and_end(waiting, server):
    server.failure = SMTPServerDisconnected("gone")
    at, pauses = timezone.now(), []
    while (message := queued(waiting)).status == "queued":
        at = max(at, message.next_at)
        sending.send_due(at=at)
        message = queued(waiting)
        if message.next_at:
            pauses.append(message.next_at - at)
    assert pauses[0] == sending.FIRST_RETRY and pauses[-1] == sending.SLOWEST_RETRY and pauses == sorted(pauses)
    assert server.calls == sending.MOST_ATTEMPTS and timedelta(days=1) < sum(pauses, timedelta()) < timedelta(days=3)
    assert (message.status, message.error) == ("failed", "SMTPServerDisconnected")
    assert waiting.events.get(type="order.message_failed").data["reason"] == "SMTPServerDisconnected"


@pytest.mark.parametrize(
    "refusal", [SMTPRecipientsRefused({ADA: (550, b"ada@buyer.example unknown")}), SMTPDataError(554, b"ada is spam")]
)
def test_what_the_server_will_never_take_is_not_tried_again(waiting, server, refusal):
    server.failure = refusal
    with everything_logged() as written:
        sending.send_due()
    message = queued(waiting)
    assert message.status == "failed" and message.error.split()[-1] in ("550", "554")
    assert ADA not in written.getvalue() and ADA not in message.error


def test_an_address_that_is_busy_is_tried_again(waiting, server):
    server.failure = SMTPRecipientsRefused({ADA: (451, b"greylisted")})
    sending.send_due()
    assert queued(waiting).status == "queued"


def test_a_sweep_stops_where_no_server_answers(environment, server):
    for _ in range(6):
        with collecting():
            stories.pay(stories.open_order(environment), buyer_contact={"email": ADA})
    server.failure = ConnectionRefusedError()
    sending.send_due()
    assert server.calls == sending.FAILURES_IN_A_ROW
    server.failure = None
    assert sending.send_due() == 3
    assert sending.send_due(at=later(minutes=1)) == 3


@pytest.mark.parametrize("number", range(5))
def test_two_workers_send_it_once(waiting, server, number):
    message = queued(waiting)
    outcomes = at_once(*[lambda: sending.send(message.id)] * 4)
    assert sorted(outcomes) == ["", "", "", "sent"]
    assert len(mail.outbox) == 1 and server.calls == 1
    assert waiting.events.filter(type="order.message_sent").count() == 1


def test_a_message_of_a_worker_that_was_killed_comes_up_again(waiting, server):
    message = queued(waiting)
    Message.objects.filter(id=message.id).update(next_at=timezone.now() + sending.LEASE, attempts=1)
    assert sending.send_due() == 0
    assert sending.send_due(at=timezone.now() + sending.LEASE) == 1


def test_a_fact_is_told_once_however_often_it_is_learnt(waiting, environment):
    leg = waiting.payment_intents.get()
    operation = leg.operations.get()
    for _ in range(2):
        with transaction.atomic():
            order = Order.objects.behind(actor_in(environment)).lock(id=waiting.id)
            outbox.queue_receipt(order, operation)
    assert Message.objects.filter(order=waiting).count() == 1


def test_d165_a_mail_is_left_to_after_the_commit_and_a_rollback_leaves_none(environment, server):
    order = paid(environment, email="")
    with collecting() as tasks, pytest.raises(RuntimeError), transaction.atomic():
        asking.send_receipt(order_id=order.id, email=ADA, actor=actor_in(environment))
        raise RuntimeError
    assert tasks == [] and not Message.objects.exists()
    with collecting() as tasks, transaction.atomic():
        message = asking.send_receipt(order_id=order.id, email=ADA, actor=actor_in(environment))
        assert tasks == [] and mail.outbox == []
    assert [kwargs for _, kwargs in tasks] == [{"message_id": message.id}]


def test_no_mail_goes_out_inside_a_transaction(waiting):
    with transaction.atomic(), pytest.raises(RuntimeError):
        sending.send(queued(waiting).id)


def test_logs_tell_neither_whom_nor_what(environment, server):
    with everything_logged() as written:
        order = paid(environment)
        server.failure = SMTPServerDisconnected("gone")
        paid(environment)
    lines = written.getvalue()
    assert "message.sent" in lines and "message.later" in lines
    assert ADA not in lines
    token = receipt_url(order, Language("en")).split("/r/")[1].split("?")[0]
    assert token.rpartition(".")[2] not in lines and "/r/" not in lines


def test_an_address_is_erased_in_time_and_known_again(environment, server, settings):
    order = paid(environment)
    assert sending.erase_addresses(at=later(days=settings.MESSAGES_KEPT_DAYS - 1)) == 0
    assert sending.erase_addresses(at=later(days=settings.MESSAGES_KEPT_DAYS + 1)) == 1
    message = queued(order)
    assert (message.recipient, message.recipient_digest) == ("", outbox.digest_of(environment.id, "ADA@buyer.example"))
    assert ADA not in message.recipient_digest


def test_what_is_not_sent_yet_keeps_its_address(waiting, settings):
    assert sending.erase_addresses(at=later(days=settings.MESSAGES_KEPT_DAYS + 1)) == 0
    assert queued(waiting).recipient == ADA
