"""The outbox: written with the fact, sent once, by whoever comes first, and again later where nobody took it."""

from datetime import timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from django.conf import settings
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, transaction
from django.utils import timezone

from flint.celery import collecting
from flint.events import services as events
from flint.languages import Language
from flint.messages import outbox, sending
from flint.messages.kinds import Attachment, Letter, Unneeded, done, kinds, says, when_done
from flint.messages.metrics import waiting_mail
from flint.messages.models import Message
from flint.testing import stories
from flint.testing.secrets import everything_logged
from flint.testing.stories import actor_in, settled
from orders.models import Order
from orders.services import close_order
from payments.messages import asking, queueing
from payments.messages.addresses import receipt_url
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
            queueing.queue_receipt(order, operation)
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


@pytest.fixture
def notice(environment):
    """A kind of message of some other room: it takes a file along, and has that room's row follow."""
    followed = []

    @says("notice", label="Notice")
    def write(message: Message, language: Language) -> Letter:
        if message.order.status == "closed":
            raise Unneeded("closed")
        file = Attachment("List\r\n1.csv", "text/csv", read=lambda: f"order,{message.order_id}".encode())
        return Letter(subject="A notice", heading="A notice", attachments=[file])

    @when_done("notice")
    def follow(order, message: Message, at) -> None:
        followed.append((message.status, order.event_count, connection.in_atomic_block))
        events.record(order, "order.note_added", subject=order, actor=actor_in(environment))

    yield followed
    del kinds["notice"], done["notice"]


def notify(environment, order) -> Message:
    with transaction.atomic():
        locked = Order.objects.of(actor_in(environment)).lock(id=order.id)
        cc = ["books@buyer.example", "no address", "evil@buyer.example,more@buyer.example"]
        return outbox.queue(locked, "notice", source_id="doc_1", recipient=ADA, cc=cc)


def test_any_room_sends_copies_and_files(environment, notice, server):
    order = stories.open_order(environment, total=4_900)
    with settled():
        message = notify(environment, order)
    (sent,) = mail.outbox
    assert (sent.to, sent.cc, sent.recipients()) == ([ADA], ["books@buyer.example"], [ADA, "books@buyer.example"])
    assert sent.attachments == [("List 1.csv", f"order,{order.id}", "text/csv")]
    message.refresh_from_db()
    assert message.masked_cc == ["b•••@buyer.example"]
    sending.erase_addresses(at=later(days=settings.MESSAGES_KEPT_DAYS + 1))
    message.refresh_from_db()
    assert (message.recipient, message.cc, message.masked_cc) == ("", [], [])


def test_a_rooms_row_follows_what_became_of_its_message(environment, notice, server):
    order = stories.open_order(environment, total=4_900)
    server.failure = SMTPServerDisconnected("gone")
    with settled():
        notify(environment, order)
    assert notice == [], "nothing has come of it yet"
    server.failure = None
    assert sending.send_due(at=later(minutes=1)) == 1
    order.refresh_from_db()
    assert notice == [("sent", order.event_count - 1, True)]
    assert order.events.order_by("-sequence").values_list("type", flat=True)[0] == "order.note_added"


def test_a_room_hears_of_a_message_that_is_not_wanted_any_more(environment, notice, server):
    order = stories.open_order(environment, total=4_900)
    with collecting():
        notify(environment, order)
        close_order(order_id=order.id, actor=actor_in(environment))
    sending.send_due()
    assert [status for status, *_ in notice] == ["failed"] and mail.outbox == []


def test_tells_how_much_mail_waits(waiting, server):
    server.failure = SMTPServerDisconnected("gone")
    sending.send_due()
    numbers = {metric.name: {tuple(s.labels.values()): s.value for s in metric.samples} for metric in waiting_mail()}
    assert numbers["flint_messages_waiting"] == {("receipt",): 1}
    assert numbers["flint_messages_oldest_waiting_seconds"][()] > 0
    assert numbers["flint_messages_failed_lately"] == {}
    server.failure = SMTPRecipientsRefused({ADA: (550, b"unknown")})
    sending.send_due(at=later(minutes=1))
    numbers = {metric.name: {tuple(s.labels.values()): s.value for s in metric.samples} for metric in waiting_mail()}
    assert numbers["flint_messages_waiting"] == {}
    assert numbers["flint_messages_failed_lately"] == {("SMTPRecipientsRefused 550",): 1}
