"""The stand-in is as strict about saved cards, disputes and the balance as it is about payments."""

import pytest
import stripe

from flint.testing.stripe_server.amounts import DISPUTE_FEE, fee_for
from flint.testing.stripe_server.clock import ANSWER_WITHIN, ARRIVES_IN, DAY, SETTLES_IN
from flint.testing.stripe_server.errors import ApiError
from payments.processors.stripe.tests.test_stand_in import VISA, client_of


@pytest.fixture
def client(stripe_server):
    return client_of(stripe_server)


@pytest.fixture
def customer(client):
    return client.v1.customers.create({"metadata": {"ours": "1"}}).id


def types_of(server, *prefixes):
    return [event["type"] for event in server.account.webhooks.events if event["type"].startswith(prefixes)]


def refused(call, *args):
    with pytest.raises(stripe.InvalidRequestError) as error:
        call(*args)
    return error.value.code, error.value.param


@pytest.mark.parametrize(
    ("name", "call", "params"),
    [
        ("customers", "create", {"colour": "red"}),
        ("setup_intents", "create", {"colour": "red"}),
        ("setup_intents", "list", {"colour": "red"}),
        ("disputes", "list", {"colour": "red"}),
        ("payouts", "list", {"colour": "red"}),
        ("balance_transactions", "list", {"colour": "red"}),
        ("events", "list", {"colour": "red"}),
    ],
)
def test_what_it_does_not_know_is_refused(client, name, call, params):
    assert refused(getattr(getattr(client.v1, name), call), params) == ("parameter_unknown", "colour")


@pytest.mark.parametrize(
    ("name", "expand"),
    [
        ("balance_transactions", "source"),
        ("balance_transactions", "data"),
        ("balance_transactions", "data.wishes"),
        ("balance_transactions", "data.source.wishes"),
        ("payment_intents", "data.latest_charge.payment_intent.latest_charge.payment_intent.customer"),
        ("disputes", "data.balance_transactions"),
        ("payouts", "data.destination"),
    ],
)
def test_what_cannot_be_expanded_is_refused(client, name, expand):
    assert refused(getattr(client.v1, name).list, {"expand": [expand]}) == (None, "expand")


def test_what_can_be_expanded_is_shown_in_lists_and_in_depth(stripe_server, client):
    paid = client.v1.payment_intents.create(VISA)

    (move,) = client.v1.balance_transactions.list({"expand": ["data.source.payment_intent"]}).data
    assert move.source.payment_intent.id == paid.id
    shown = client.v1.payment_intents.retrieve(paid.id, {"expand": ["latest_charge.balance_transaction"]})
    assert shown.latest_charge.balance_transaction.id == move.id
    assert client.v1.payment_intents.list().data[0].latest_charge == shown.latest_charge.id


def test_a_setup_is_made_confirmed_and_listed(stripe_server, client, customer):
    setup = client.v1.setup_intents.create({"customer": customer, "usage": "on_session"})
    assert refused(client.v1.setup_intents.confirm, setup.id) == (None, "payment_method")

    with pytest.raises(stripe.CardError) as error:
        client.v1.setup_intents.confirm(setup.id, {"payment_method": "pm_card_chargeDeclined"})
    assert (error.value.code, error.value.error.setup_intent.status) == ("card_declined", "requires_payment_method")

    done = client.v1.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa", "expand": ["payment_method"]})
    assert (done.status, done.payment_method.customer) == ("succeeded", customer)
    assert refused(client.v1.setup_intents.cancel, setup.id)[0] == "setup_intent_unexpected_state"
    assert [row.id for row in client.v1.setup_intents.list({"customer": customer}).data] == [setup.id]
    assert client.v1.setup_intents.list({"customer": "cus_other"}).data == []
    given_up = client.v1.setup_intents.create({"customer": customer})
    assert client.v1.setup_intents.cancel(given_up.id).status == "canceled"


def test_a_setup_of_a_customer_that_is_gone_or_of_a_bank_is_refused(stripe_server, client, customer):
    setup = client.v1.setup_intents.create({"customer": customer})
    assert refused(client.v1.setup_intents.confirm, setup.id, {"payment_method": "pm_usBankAccount_success"})[1] == (
        "payment_method"
    )
    stripe_server.book.delete_customer(customer)

    assert client.v1.customers.retrieve(customer).deleted is True
    assert refused(client.v1.setup_intents.create, {"customer": customer}) == ("resource_missing", "customer")
    assert refused(client.v1.payment_intents.create, VISA | {"customer": customer}) == ("resource_missing", "customer")


def test_a_key_is_remembered_for_setups_and_customers_too(client, customer):
    first = client.v1.setup_intents.create({"customer": customer}, {"idempotency_key": "k"})

    assert client.v1.setup_intents.create({"customer": customer}, {"idempotency_key": "k"}).id == first.id
    with pytest.raises(stripe.IdempotencyError):
        client.v1.setup_intents.create({"customer": customer, "usage": "on_session"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create({}, {"idempotency_key": "k"})


def test_a_method_is_attached_to_one_customer_and_let_go_of_once(stripe_server, client, customer):
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    other = client.v1.customers.create({}).id

    assert refused(client.v1.payment_methods.attach, method.id, {"customer": other}) == (None, None)
    with pytest.raises(stripe.CardError):
        client.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer})
    assert client.v1.payment_methods.detach(method.id).customer is None
    assert refused(client.v1.payment_methods.detach, method.id) == (None, "payment_method")
    assert refused(client.v1.payment_methods.retrieve, "pm_nobody") == ("resource_missing", "payment_method")
    assert types_of(stripe_server, "payment_method.") == ["payment_method.attached", "payment_method.detached"]


def test_nobody_pays_off_session_without_confirming(client):
    params = {"amount": 500, "currency": "eur", "off_session": True}

    assert refused(client.v1.payment_intents.create, params) == (None, "off_session")


@pytest.mark.parametrize(
    ("end", "told", "net"),
    [
        (lambda book, id: book.win_dispute(id), ["closed", "funds_reinstated"], 1_000 - DISPUTE_FEE),
        (lambda book, id: book.lose_dispute(id), ["closed"], -DISPUTE_FEE),
        (lambda book, id: book.lose_dispute(id, reinstated=300), ["closed", "funds_reinstated"], 300 - DISPUTE_FEE),
        (lambda book, id: book.end_dispute(id, "prevented"), ["closed"], -DISPUTE_FEE),
    ],
)
def test_a_dispute_is_told_of_and_moves_the_balance(stripe_server, client, end, told, net):
    paid = client.v1.payment_intents.create(VISA | {"payment_method": "pm_card_createDispute"})
    (dispute,) = client.v1.disputes.list({"payment_intent": paid.id}).data
    assert refused(client.v1.refunds.create, {"payment_intent": paid.id}) == ("charge_disputed", None)

    end(stripe_server.book, dispute.id)

    told = [f"charge.dispute.{name}" for name in ("created", "funds_withdrawn", *told)]
    assert types_of(stripe_server, "charge.dispute.") == told
    moves = client.v1.balance_transactions.list({"limit": 100}).data
    assert sum(move.net for move in moves) == net - fee_for(1_000)
    shown = client.v1.disputes.retrieve(dispute.id, {"expand": ["charge"]})
    assert shown.charge.disputed
    assert {move.source for move in shown.balance_transactions} == {dispute.id}


def test_a_question_takes_nothing_and_lapses(stripe_server, client):
    paid = client.v1.payment_intents.create(VISA | {"payment_method": "pm_card_createDisputeInquiry"})
    assert client.v1.refunds.create({"payment_intent": paid.id, "amount": 100}).status == "succeeded"

    stripe_server.advance(ANSWER_WITHIN)

    (dispute,) = client.v1.disputes.list().data
    assert (dispute.status, dispute.balance_transactions) == ("warning_closed", [])


def test_the_schedule_pays_out_what_is_available_and_the_hand_no_more_than_that(stripe_server, client):
    book = stripe_server.book
    client.v1.payment_intents.create(VISA)
    for attempt in (lambda: book.pay_out(), lambda: book.pay_out("eur", 100)):
        with pytest.raises(ApiError):
            attempt()
    stripe_server.advance(SETTLES_IN)
    by_hand = book.pay_out("eur", 100)["id"]
    scheduled = book.pay_out()["id"]

    left = 1_000 - fee_for(1_000) - 100
    assert [payout.amount for payout in client.v1.payouts.list().data] == [left, 100]
    paid_out = client.v1.balance_transactions.list({"payout": scheduled}).data
    assert [move.type for move in paid_out] == ["payout", "payout", "charge"]
    assert sum(move.net for move in paid_out) == 0
    assert refused(client.v1.balance_transactions.list, {"payout": by_hand}) == (None, "payout")
    assert client.v1.payouts.list({"status": "paid"}).data == []

    book.send_payout(scheduled)
    with pytest.raises(ApiError):
        book.cancel_payout(scheduled)
    stripe_server.advance(ARRIVES_IN)
    assert {payout.status for payout in client.v1.payouts.list().data} == {"paid"}
    book.fail_payout(scheduled)
    assert client.v1.payouts.retrieve(scheduled).failure_code == "account_closed"
    assert client.v1.balance.retrieve().available[0].amount == left
    assert types_of(stripe_server, "payout.")[-4:] == ["payout.updated", "payout.paid", "payout.paid", "payout.failed"]


def test_movements_are_listed_by_what_they_are_about(client):
    paid = client.v1.payment_intents.create(VISA)
    refund = client.v1.refunds.create({"payment_intent": paid.id, "amount": 100})

    def listed(**params):
        return [move.type for move in client.v1.balance_transactions.list(params).data]

    assert listed() == ["refund", "charge"]
    assert listed(source=refund.id) == ["refund"]
    assert listed(type="charge") == ["charge"]
    assert listed(currency="usd") == []
    assert client.v1.balance_transactions.retrieve(refund.balance_transaction).amount == -100


def test_events_are_remembered_for_a_month_and_known_to_be_heard(stripe_server, client):
    stripe_server.add_endpoint("http://127.0.0.1:1/", "whsec_1")
    client.v1.payment_intents.create(VISA)
    (event,) = client.v1.events.list({"type": "charge.succeeded"}).data
    stripe_server.deliver(lambda url, body, headers: 200 if b'"charge.succeeded"' in body else 500)

    assert [row.id for row in client.v1.events.list({"delivery_success": True}).data] == [event.id]
    assert event.id not in [row.id for row in client.v1.events.list({"delivery_success": False}).data]
    stripe_server.advance(30 * DAY + 1)
    assert client.v1.events.list().data == []
    assert refused(client.v1.events.retrieve, event.id) == ("resource_missing", "id")


def test_a_setup_is_told_of(stripe_server, client, customer):
    setup = client.v1.setup_intents.create({"customer": customer}).id
    stripe_server.confirm_setup(setup, "pm_card_threeDSecure2Required")
    stripe_server.authenticate(setup, passed=False)
    stripe_server.confirm_setup(setup)

    assert types_of(stripe_server, "setup_intent.") == [
        "setup_intent.created",
        "setup_intent.requires_action",
        "setup_intent.setup_failed",
        "setup_intent.succeeded",
    ]
