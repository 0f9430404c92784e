"""Telling: signed, sent until heard, and disturbed only as planned."""

import json
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from django.utils import timezone

from payments.processors.base import BadSignature
from payments.processors.sandbox import accounts, faults, notices
from payments.processors.sandbox.models import SandboxNotice
from payments.processors.sandbox.tests.calls import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    at_once,
    cancel,
    capture,
    give_back,
    hold,
    network,
    pay,
)

pytestmark = pytest.mark.django_db


class Mailbox(list):
    """A merchant's server: keeps what arrives, and answers as told."""

    def __init__(self, *statuses: int):
        super().__init__()
        self.statuses = list(statuses)

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.append((url, body, headers))
        return self.statuses.pop(0) if self.statuses else 200

    @property
    def references(self) -> list[str]:
        return [json.loads(body)["reference"] for _, body, _ in self]


@pytest.fixture
def now():
    return timezone.now() + timedelta(seconds=1)


def one_notice(at):
    """Return the bytes and headers of one signed notice."""
    pay()
    mailbox = Mailbox()
    notices.deliver(at, post=mailbox)
    _, body, headers = mailbox[0]
    return body, headers


def read(body, headers, at, environment_id=ENVIRONMENT):
    return network.read_notice(environment_id=environment_id, headers=headers, body=body, at=at)


def test_a_notice_says_what_changed_and_where(now, settings):
    payment = pay()
    mailbox = Mailbox()

    assert notices.deliver(now, post=mailbox) == 1

    url, body, headers = mailbox[0]
    notice = read(body, headers, now)
    assert url == f"{settings.BASE_URL}/notices/sandbox/{ENVIRONMENT}"
    assert (notice.type, notice.kind, notice.reference) == ("payment.succeeded", "payment", payment.reference)
    assert notice.id.startswith("sbn_")
    assert notice.payload["object"]["metadata"]["operation_id"] == payment.operation_id
    assert notice.payload["environment_id"] == ENVIRONMENT


def test_every_change_is_told_once():
    held = hold()
    capture(held, 5_000)
    cancel(hold())
    give_back(pay(), 100)
    pay("pm_card_chargeDeclined")
    pay("pm_card_threeDSecure2Required")
    pay("pm_usBankAccount_success")

    assert list(SandboxNotice.objects.order_by("created_at", "id").values_list("type", flat=True)) == [
        "payment.authorized",
        "payment.succeeded",
        "payment.authorized",
        "payment.canceled",
        "payment.succeeded",
        "refund.succeeded",
        "payment.failed",
        "payment.requires_action",
        "payment.processing",
    ]


def test_a_notice_holds_no_secret():
    payment = pay("pm_card_threeDSecure2Required")

    assert payment.action.client_secret not in json.dumps(SandboxNotice.objects.get().snapshot)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda body, headers: (body.replace(b"succeeded", b"suCceeded", 1), headers),
        lambda body, headers: (body + b" ", headers),
        lambda body, headers: (body, {}),
        lambda body, headers: (body, {"Sandbox-Signature": headers["Sandbox-Signature"][:-1] + "x"}),
        lambda body, headers: (body, {"Sandbox-Signature": headers["Sandbox-Signature"].split(",")[0]}),
        lambda body, headers: (body, {"Sandbox-Signature": headers["Sandbox-Signature"].split(",")[1]}),
        lambda body, headers: (body, {"Sandbox-Signature": headers["Sandbox-Signature"].replace("t=1", "t=2")}),
        lambda body, headers: (body, {"Sandbox-Signature": "t=now,v1=é"}),
        lambda body, headers: (body, {"Sandbox-Signature": "t=" + "9" * 400 + ",v1=00"}),
    ],
)
def test_a_tampered_notice_is_not_believed(now, tamper):
    body, headers = tamper(*one_notice(now))

    with pytest.raises(BadSignature):
        read(body, headers, now)


@pytest.mark.parametrize(("age", "is_believed"), [(0, True), (299, True), (302, False), (-302, False)])
def test_an_old_notice_is_not_believed(now, age, is_believed):
    body, headers = one_notice(now)

    if is_believed:
        assert read(body, headers, now + timedelta(seconds=age)).id
    else:
        with pytest.raises(BadSignature):
            read(body, headers, now + timedelta(seconds=age))


def test_the_header_is_read_in_any_case(now):
    body, headers = one_notice(now)

    assert read(body, {"sandbox-signature": headers["Sandbox-Signature"]}, now).id


@pytest.mark.parametrize("environment_id", [OTHER_ENVIRONMENT, "env_unknown"])
def test_a_notice_of_another_environment_is_not_believed(now, environment_id):
    accounts.account_of(OTHER_ENVIRONMENT)
    body, headers = one_notice(now)

    with pytest.raises(BadSignature):
        read(body, headers, now, environment_id)


def test_a_signed_text_that_names_another_environment_is_not_believed(now):
    body, _ = one_notice(now)
    body = body.replace(ENVIRONMENT.encode(), OTHER_ENVIRONMENT.encode())
    headers = {notices.HEADER: notices.sign(accounts.account_of(ENVIRONMENT), body, now)}

    with pytest.raises(BadSignature):
        read(body, headers, now)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", b'{"id":1}'])
def test_a_signed_text_that_is_no_notice_is_not_believed(now, body):
    headers = {notices.HEADER: notices.sign(accounts.account_of(ENVIRONMENT), body, now)}

    with pytest.raises(BadSignature):
        read(body, headers, now)


def test_a_rotated_secret_is_believed_until_it_is_retired(now):
    body, headers = one_notice(now)
    before = accounts.account_of(ENVIRONMENT)

    accounts.rotate_secret(ENVIRONMENT)
    after = accounts.account_of(ENVIRONMENT)
    assert before.webhook_secret == after.previous_secret != after.webhook_secret
    assert read(body, headers, now).id
    assert notices.sign(after, body, now).count("v1=") == 2
    assert read(body, {notices.HEADER: notices.sign(after, body, now)}, now).id

    accounts.retire_previous_secret(ENVIRONMENT)
    with pytest.raises(BadSignature):
        read(body, headers, now)


def test_a_notice_is_sent_again_later_and_later_until_it_is_heard(now):
    pay()
    mailbox = Mailbox(500, 0)

    assert notices.deliver(now, post=mailbox) == 0
    assert notices.deliver(now + timedelta(seconds=4), post=mailbox) == 0
    assert len(mailbox) == 1
    assert notices.deliver(now + timedelta(seconds=5), post=mailbox) == 0
    assert notices.deliver(now + timedelta(seconds=14), post=mailbox) == 0
    assert len(mailbox) == 2
    assert notices.deliver(now + timedelta(seconds=15), post=mailbox) == 1
    assert notices.deliver(now + timedelta(days=1), post=mailbox) == 0
    assert len({body for _, body, _ in mailbox}) == 1


def test_a_notice_that_is_never_heard_is_given_up(now):
    pay()
    mailbox = Mailbox(*[500] * 100)

    for day in range(100):
        notices.deliver(now + timedelta(days=day), post=mailbox)

    assert len(mailbox) == notices.MAX_ATTEMPTS
    assert SandboxNotice.objects.get().next_at is None


def test_notices_go_out_in_the_order_of_what_happened(now):
    payments = [pay() for _ in range(25)]
    mailbox = Mailbox()

    assert notices.deliver(now, post=mailbox) == 25

    assert mailbox.references == [payment.reference for payment in payments]


def test_one_environment_can_be_served_alone(now):
    pay(environment_id=OTHER_ENVIRONMENT)
    mine = pay()
    mailbox = Mailbox()

    notices.deliver(now, ENVIRONMENT, mailbox)

    assert mailbox.references == [mine.reference]


def test_a_dropped_notice_never_arrives(now):
    faults.plan(ENVIRONMENT, on="notice", fault="drop")
    pay()
    second = pay()
    mailbox = Mailbox()

    notices.deliver(now, post=mailbox)
    notices.deliver(now + timedelta(days=1), post=mailbox)

    assert mailbox.references == [second.reference]


def test_a_delayed_notice_arrives_later(now):
    faults.plan(ENVIRONMENT, on="notice", fault="delay", seconds=60)
    first, second = pay(), pay()
    mailbox = Mailbox()

    notices.deliver(now, post=mailbox)
    assert mailbox.references == [second.reference]
    notices.deliver(now + timedelta(seconds=60), post=mailbox)
    assert mailbox.references == [second.reference, first.reference]


def test_a_duplicated_notice_arrives_again_with_the_same_id(now):
    faults.plan(ENVIRONMENT, on="notice", fault="duplicate", count=2)
    pay()
    mailbox = Mailbox()

    notices.deliver(now, post=mailbox)

    assert len(mailbox) == 3
    assert len({json.loads(body)["id"] for _, body, _ in mailbox}) == 1


def test_a_reordered_notice_is_overtaken(now):
    faults.plan(ENVIRONMENT, on="notice", fault="reorder")
    first, second = pay(), pay()
    mailbox = Mailbox()

    notices.deliver(now, post=mailbox)

    assert mailbox.references == [second.reference, first.reference]


def test_a_lone_reordered_notice_waits_to_be_overtaken(now):
    faults.plan(ENVIRONMENT, on="notice", fault="reorder")
    first = pay()
    mailbox = Mailbox()

    notices.deliver(now, post=mailbox)
    assert mailbox == []
    second = pay()
    notices.deliver(now + timedelta(seconds=1), post=mailbox)
    notices.deliver(now + timedelta(seconds=5), post=mailbox)

    assert mailbox.references == [second.reference, first.reference]


def test_a_notice_whose_receipt_is_lost_arrives_twice(now):
    faults.plan(ENVIRONMENT, on="notice", fault="lose_answer")
    payment = pay()
    mailbox = Mailbox()

    notices.deliver(now, post=mailbox)
    notices.deliver(now + timedelta(seconds=5), post=mailbox)

    assert mailbox.references == [payment.reference] * 2


def test_an_unreachable_server_is_tried_again(now):
    faults.plan(ENVIRONMENT, on="notice", fault="unreachable")
    pay()
    mailbox = Mailbox()

    assert notices.deliver(now, post=mailbox) == 0
    assert mailbox == []
    assert notices.deliver(now + timedelta(seconds=5), post=mailbox) == 1


@pytest.mark.django_db(transaction=True)
def test_senders_at_once_send_each_notice_once():
    payments = [pay() for _ in range(60)]
    mailbox, now = Mailbox(), timezone.now()

    heard = at_once(lambda: notices.deliver(now, post=mailbox), 5)

    assert sum(heard) == 60
    assert sorted(mailbox.references) == sorted(payment.reference for payment in payments)


def test_a_notice_goes_over_http(now, settings):
    arrived = []

    class Merchant(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append((self.path, body, dict(self.headers)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Merchant)
    Thread(target=server.serve_forever, daemon=True).start()
    settings.INTERNAL_URL = f"http://127.0.0.1:{server.server_port}"
    pay()
    try:
        assert notices.deliver(now) == 1
    finally:
        server.shutdown()
        server.server_close()

    path, body, headers = arrived[0]
    assert path == f"/notices/sandbox/{ENVIRONMENT}"
    assert read(body, headers, now).type == "payment.succeeded"

    pay()
    assert notices.deliver(timezone.now() + timedelta(seconds=1)) == 0
