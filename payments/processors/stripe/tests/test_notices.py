"""Being told by Stripe: signed over the raw bytes, by a secret that is believed, for this environment."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from flint.testing.stories import eur
from flint.testing.stripe_server.clock import SETTLES_IN
from flint.testing.stripe_server.fixture import WEBHOOK_SECRET
from flint.testing.stripe_server.webhooks import body_of, sign
from payments.processors.base import BadSignature
from payments.processors.stripe import accounts
from payments.processors.stripe.tests.calls import give_back, hold, pay, processor

pytestmark = pytest.mark.django_db


class Mailbox(list):
    """A merchant's server that only keeps what arrives."""

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.append((body, headers))
        return 200


@pytest.fixture
def told(stripe_server, stripe_environment):
    """The bytes and headers of one real notice."""
    pay(stripe_environment)
    mailbox = Mailbox()
    stripe_server.deliver(mailbox)
    return mailbox[-1]


def read(environment, body, headers, at=None):
    return processor.read_notice(environment_id=environment.id, headers=headers, body=body, at=at or timezone.now())


def read_signed(environment, event):
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    signature = sign(body, [WEBHOOK_SECRET], int(timezone.now().timestamp()))
    return read(environment, body, {"Stripe-Signature": signature})


def event_of(server, type):
    return next(event for event in server.account.webhooks.events if event["type"] == type)


def test_a_notice_says_what_changed_and_where(stripe_server, stripe_environment):
    payment = pay(stripe_environment)
    refund = give_back(payment, eur(100))
    mailbox = Mailbox()

    stripe_server.deliver(mailbox)

    notices = [read(stripe_environment, body, headers) for body, headers in mailbox]
    assert [(notice.type, notice.kind, notice.reference) for notice in notices] == [
        ("payment_intent.created", "payment", payment.reference),
        ("charge.succeeded", "payment", payment.reference),
        ("payment_intent.succeeded", "payment", payment.reference),
        ("refund.created", "refund", refund.reference),
        ("charge.refunded", "payment", payment.reference),
    ]
    assert len({notice.id for notice in notices}) == 5
    assert all(notice.id.startswith("evt_") for notice in notices)
    assert abs(notices[0].created_at - timezone.now()) < timedelta(seconds=10)


def test_notices_of_disputes_payouts_and_setups_say_where_to_look(stripe_server, stripe_environment):
    book = stripe_server.book
    pay(stripe_environment)
    stripe_server.advance(SETTLES_IN)
    payout = book.pay_out()["id"]
    payment = pay(stripe_environment)
    dispute = book.open_dispute(payment.reference)["id"]
    book.win_dispute(dispute)
    setup = book.create_setup({"customer": book.create_customer({})["id"]})["id"]
    stripe_server.confirm_setup(setup, "pm_card_chargeDeclined")
    stripe_server.confirm_setup(setup)
    mailbox = Mailbox()

    stripe_server.deliver(mailbox)

    at = datetime.fromtimestamp(stripe_server.clock.now(), UTC)
    notices = [read(stripe_environment, body, headers, at) for body, headers in mailbox]
    others = [(notice.type, notice.kind, notice.reference) for notice in notices if notice.kind != "payment"]
    assert [row for row in others if row[1] != "other"] == [
        ("payout.created", "payout", payout),
        ("payout.reconciliation_completed", "payout", payout),
        ("charge.dispute.created", "dispute", dispute),
        ("charge.dispute.funds_withdrawn", "dispute", dispute),
        ("charge.dispute.closed", "dispute", dispute),
        ("charge.dispute.funds_reinstated", "dispute", dispute),
        ("setup_intent.created", "setup", setup),
        ("setup_intent.setup_failed", "setup", setup),
        ("setup_intent.succeeded", "setup", setup),
    ]
    assert [type for type, kind, _ in others if kind == "other"] == ["customer.created", "payment_method.attached"]


def test_d066_a_dispute_in_an_older_or_newer_shape_leads_to_the_same_place(stripe_server, stripe_environment):
    """Of an event only the object's id is read; whatever else it shows, or does not, is asked for."""
    stripe_server.book.open_dispute(pay(stripe_environment).reference)
    event = json.loads(body_of(event_of(stripe_server, "charge.dispute.created")))
    shown = event["data"]["object"]
    bare = {"id": shown["id"], "object": "dispute"}
    older = shown | {"balance_transaction": "txn_1", "balance_transactions": ["txn_1"], "charge": {"id": "ch_1"}}
    newer = shown | {"of_the_future": {"a": 1}}

    for shape in (shown, bare, older, newer):
        notice = read_signed(stripe_environment, event | {"api_version": "2014-01-31", "data": {"object": shape}})

        assert (notice.kind, notice.reference) == ("dispute", shown["id"])


def test_a_notice_keeps_no_secret(stripe_server, stripe_environment):
    payment = pay(stripe_environment, "pm_card_threeDSecure2Required")
    mailbox = Mailbox()
    stripe_server.deliver(mailbox)

    body, headers = mailbox[-1]

    assert payment.action.client_secret.encode() in body
    assert payment.action.client_secret not in repr(read(stripe_environment, body, headers))


@pytest.mark.parametrize(
    "tamper",
    [
        lambda body, header: (body.replace(b"succeeded", b"suCceeded", 1), header),
        lambda body, header: (body + b" ", header),
        lambda body, header: (body, ""),
        lambda body, header: (body, header.replace("v1=", "v0=")),
        lambda body, header: (body, header.split(",")[0]),
        lambda body, header: (body, header.split(",", 1)[1]),
        lambda body, header: (body, header.replace("t=1", "t=2")),
        lambda body, header: (body, f"t=1,{header}"),
        lambda body, header: (body, "t=now,v1=é"),
        lambda body, header: (body, "t=" + "9" * 400 + ",v1=00"),
    ],
)
def test_a_tampered_notice_is_not_believed(stripe_environment, told, tamper):
    body, headers = told
    assert read(stripe_environment, body, headers)

    body, header = tamper(body, headers["Stripe-Signature"])

    with pytest.raises(BadSignature):
        read(stripe_environment, body, {"Stripe-Signature": header} if header else {})


@pytest.mark.parametrize(("age", "is_believed"), [(0, True), (299, True), (302, False), (-302, False)])
def test_an_old_notice_is_not_believed(stripe_environment, told, age, is_believed):
    body, headers = told
    at = timezone.now() + timedelta(seconds=age)

    if is_believed:
        assert read(stripe_environment, body, headers, at)
    else:
        with pytest.raises(BadSignature):
            read(stripe_environment, body, headers, at)


def test_the_header_is_read_in_any_case(stripe_environment, told):
    body, headers = told

    assert read(stripe_environment, body, {"STRIPE-SIGNATURE": headers["Stripe-Signature"]})


def test_a_rotated_secret_is_believed_until_it_is_retired(stripe_server, stripe_environment, told):
    body, headers = told
    endpoint = stripe_server.account.webhooks.endpoints[0]
    accounts.connect(
        environment_id=stripe_environment.id,
        secret_key=stripe_server.secret_key,
        publishable_key=stripe_server.publishable_key,
        webhook_secret="whsec_new",
        api_base=stripe_server.url,
    )

    assert read(stripe_environment, body, headers)
    for secrets in (["whsec_new"], ["whsec_old", "whsec_new"], [WEBHOOK_SECRET, "whsec_new"]):
        endpoint.secrets = secrets
        pay(stripe_environment)
        mailbox = Mailbox()
        stripe_server.deliver(mailbox)
        assert read(stripe_environment, *mailbox[-1])

    tomorrow = timezone.now() + timedelta(hours=25)
    stale = {"Stripe-Signature": sign(body, [WEBHOOK_SECRET], int(tomorrow.timestamp()))}
    with pytest.raises(BadSignature):
        read(stripe_environment, body, stale, tomorrow)


def test_another_environments_secret_is_not_believed(merchant, environment, told):
    body, headers = told

    with pytest.raises(BadSignature):
        read(environment, body, headers)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"\xff", b'{"object":"event"}', b'{"object":"v2.core.event","id":"evt_1"}'],
)
def test_a_signed_text_that_is_no_event_is_not_believed(stripe_environment, body):
    with pytest.raises(BadSignature):
        read_signed(stripe_environment, body)


@pytest.mark.parametrize(
    "change", [{"livemode": True}, {"account": "acct_stranger"}, {"livemode": True, "account": "acct_stranger"}]
)
def test_a_notice_of_the_other_mode_or_another_account_is_kept_and_not_acted_on(
    stripe_server, stripe_environment, change
):
    payment = pay(stripe_environment)

    notice = read_signed(stripe_environment, event_of(stripe_server, "payment_intent.succeeded") | change)

    assert (notice.kind, notice.reference) == ("foreign", payment.reference)


def test_a_lapsed_hold_is_about_its_payment_and_not_about_a_refund(stripe_server, stripe_environment):
    payment = hold(stripe_environment)
    event = event_of(stripe_server, "charge.succeeded")
    refund = {
        "id": "re_1",
        "object": "refund",
        "payment_intent": payment.reference,
        "reason": "expired_uncaptured_charge",
    }

    notice = read_signed(stripe_environment, event | {"type": "refund.created", "data": {"object": refund}})

    assert (notice.kind, notice.reference) == ("payment", payment.reference)


@pytest.mark.parametrize(("payment_intent", "kind"), [(None, "other"), ({"id": "pi_9"}, "payment")])
def test_a_charge_leads_to_its_payment_if_it_has_one(stripe_server, stripe_environment, payment_intent, kind):
    pay(stripe_environment)
    event = json.loads(body_of(event_of(stripe_server, "charge.succeeded")))
    event["data"]["object"]["payment_intent"] = payment_intent

    assert read_signed(stripe_environment, event).kind == kind


def test_a_notice_for_an_environment_without_keys_is_not_believed(environment):
    with pytest.raises(BadSignature):
        read_signed(environment, b"{}")
