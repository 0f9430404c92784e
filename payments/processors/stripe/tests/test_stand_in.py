"""The stand-in for Stripe is as strict as Stripe, so that tests against it prove something."""

import json
import urllib.request

import pytest
import stripe

from flint.testing.stripe_server import StripeServer
from flint.testing.stripe_server.clock import SETTLES_IN
from flint.testing.stripe_server.webhooks import RETRY_AFTER

VISA = {
    "amount": 1_000,
    "currency": "eur",
    "confirm": True,
    "payment_method": "pm_card_visa",
    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
}


def client_of(server, **options) -> stripe.StripeClient:
    return stripe.StripeClient(
        options.pop("key", server.secret_key),
        base_addresses={"api": server.url},
        http_client=stripe.RequestsClient(timeout=5),
        **options,
    )


@pytest.fixture
def client(stripe_server):
    return client_of(stripe_server)


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"colour": "red"}, "parameter_unknown", "colour"),
        ({"automatic_payment_methods": {"x": "1"}}, "parameter_unknown", "automatic_payment_methods[x]"),
        ({"amount": "1.5"}, "parameter_invalid_integer", "amount"),
        ({"payment_method": ""}, "parameter_invalid_empty", "payment_method"),
        ({"capture_method": "sometimes"}, None, "capture_method"),
        ({"confirm": "maybe"}, None, "confirm"),
        ({"expand": ["wishes"]}, None, "expand"),
        ({"automatic_payment_methods": {"enabled": True}}, None, "return_url"),
        ({"payment_method": "pm_card_nobody"}, "resource_missing", "payment_method"),
    ],
)
def test_what_it_does_not_know_is_refused_and_nothing_is_made(stripe_server, client, change, code, param):
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.create(VISA | change)

    assert (error.value.code, error.value.param) == (code, param)
    assert stripe_server.book.payments == {}


def test_what_is_missing_is_refused(client):
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.create({"currency": "eur"})

    assert (error.value.code, error.value.param) == ("parameter_missing", "amount")


def test_an_address_it_does_not_serve_is_refused(client):
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        client.v1.coupons.list()


@pytest.mark.parametrize("key", ["sk_test_unknown", "nonsense"])
def test_a_key_it_does_not_know_is_turned_away_and_not_repeated(stripe_server, key):
    with pytest.raises(stripe.AuthenticationError) as error:
        client_of(stripe_server, key=key).v1.balance.retrieve()

    assert key not in str(error.value) or len(key) < 12


def test_a_version_that_is_none_is_refused(stripe_server):
    with pytest.raises(stripe.InvalidRequestError, match="version"):
        client_of(stripe_server, stripe_version="latest").v1.balance.retrieve()


def test_a_key_is_remembered_for_a_day_with_what_it_was_used_for(stripe_server, client):
    first = client.v1.payment_intents.create(VISA, {"idempotency_key": "k"})

    again = client.v1.payment_intents.create(VISA, {"idempotency_key": "k"})
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.create(VISA | {"amount": 2_000}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.refunds.create({"payment_intent": first.id}, {"idempotency_key": "k"})
    stripe_server.advance(24 * 3600)
    assert client.v1.payment_intents.create(VISA, {"idempotency_key": "k"}).id != first.id


def test_a_decline_and_a_500_are_remembered_and_a_malformed_request_is_not(stripe_server, client):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.create(VISA | {"colour": "red"}, {"idempotency_key": "a"})
    assert client.v1.payment_intents.create(VISA, {"idempotency_key": "a"}).status == "succeeded"
    declined = VISA | {"payment_method": "pm_card_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.create(declined, {"idempotency_key": "b"})
    stripe_server.faults.plan(on="confirm", fault="error", status=500)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            client.v1.payment_intents.create(VISA, {"idempotency_key": "c"})
    stripe_server.faults.plan(on="confirm", fault="error", status=429)
    with pytest.raises(stripe.RateLimitError):
        client.v1.payment_intents.create(VISA, {"idempotency_key": "d"})
    assert client.v1.payment_intents.create(VISA, {"idempotency_key": "d"}).status == "succeeded"
    assert len(stripe_server.book.payments) == 3


def test_one_key_twice_at_once_is_one_payment(stripe_server):
    stripe_server.memory.begin(f"{stripe_server.account.id}/False", "k", "/v1/payment_intents", {})

    with pytest.raises(stripe.StripeError) as error:
        client_of(stripe_server).v1.payment_intents.create(VISA, {"idempotency_key": "k"})

    assert error.value.http_status in (400, 409)
    assert stripe_server.book.payments == {}


def test_lists_are_newest_first_and_paged(client):
    made = [client.v1.payment_intents.create({"amount": 500 + n, "currency": "eur"}).id for n in range(25)]

    page = client.v1.payment_intents.list()
    assert [intent.id for intent in page.data] == made[::-1][:10]
    assert page.has_more
    found = client.v1.payment_intents.list({"limit": 7}).auto_paging_iter()
    assert [intent.id for intent in found] == made[::-1]
    before = client.v1.payment_intents.list({"ending_before": made[0], "limit": 2})
    assert [intent.id for intent in before.data] == [made[2], made[1]]
    created = client.v1.payment_intents.retrieve(made[0]).created
    assert client.v1.payment_intents.list({"created": {"gt": created + 60}}).data == []
    assert client.v1.payment_intents.list({"created": {"gte": created, "lte": created + 60}, "limit": 1}).data
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.list({"limit": 101})


def test_a_payment_is_confirmed_in_a_call_of_its_own(client):
    intent = client.v1.payment_intents.create({"amount": 1_000, "currency": "eur"})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.confirm(intent.id)

    assert client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert error.value.code == "payment_intent_unexpected_state"
    assert error.value.error.payment_intent.id == intent.id


def test_a_redirect_is_used_unless_a_library_of_stripes_takes_over(client):
    secure = VISA | {"payment_method": "pm_card_threeDSecure2Required", "return_url": "https://shop.example"}

    assert client.v1.payment_intents.create(secure).next_action.type == "redirect_to_url"
    assert client.v1.payment_intents.create(secure | {"use_stripe_sdk": True}).next_action.type == "use_stripe_sdk"


def test_events_are_listed_by_type_and_time(client):
    client.v1.payment_intents.create(VISA)

    assert [event.type for event in client.v1.events.list({"type": "payment_intent.*"}).data] == [
        "payment_intent.succeeded",
        "payment_intent.created",
    ]
    (event,) = client.v1.events.list({"types": ["charge.succeeded"]}).data
    assert client.v1.events.retrieve(event.id).data.object["paid"] is True


def test_events_are_told_until_they_are_heard_or_given_up(stripe_server, client):
    stripe_server.add_endpoint("http://127.0.0.1:1/", "whsec_1")
    client.v1.payment_intents.create(VISA)
    told = []

    def post(url, body, headers):
        event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], "whsec_1", tolerance=None)
        told.append(event.type)
        return 200 if event.type == "charge.succeeded" else 500

    assert stripe_server.deliver(post) == 1
    for seconds in RETRY_AFTER:
        stripe_server.advance(seconds)
        stripe_server.deliver(post)
    stripe_server.advance(RETRY_AFTER[-1])
    assert stripe_server.deliver(post) == 0

    assert told.count("charge.succeeded") == 1
    assert told.count("payment_intent.succeeded") == 1 + len(RETRY_AFTER)
    assert stripe_server.account.webhooks.waiting == []


def test_the_balance_is_what_came_in_less_fees_and_what_went_out(stripe_server, client):
    paid = client.v1.payment_intents.create(VISA)
    client.v1.refunds.create({"payment_intent": paid.id, "amount": 400})

    balance = client.v1.balance.retrieve()
    assert (balance.available[0].amount, balance.pending[0].amount, balance.livemode) == (-400, 941, False)

    stripe_server.advance(SETTLES_IN)
    balance = client.v1.balance.retrieve()
    assert (balance.available[0].amount, balance.pending[0].amount) == (541, 0)


def test_modes_and_accounts_do_not_see_each_other(stripe_server, client):
    live = client_of(stripe_server, key=stripe_server.new_key(stripe_server.open_account(livemode=True)))
    paid = client.v1.payment_intents.create(VISA)

    with pytest.raises(stripe.InvalidRequestError) as error:
        live.v1.payment_intents.retrieve(paid.id)

    assert error.value.code == "resource_missing"
    assert live.v1.payment_intents.list().data == []
    with pytest.raises(stripe.PermissionError):
        client_of(stripe_server, stripe_account="acct_stranger").v1.balance.retrieve()


def test_its_controls_are_reached_over_http(stripe_server, client):
    intent = client.v1.payment_intents.create(VISA | {"payment_method": "pm_card_threeDSecure2Required"})

    def control(path, form):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{stripe_server.url}/_test/{path}", form.encode()) as answer:
            return json.load(answer)

    control(f"payment_intents/{intent.id}/authenticate", "outcome=pass")
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    before = stripe_server.clock.now()
    control("advance", "seconds=60")
    assert stripe_server.clock.now() >= before + 60


def test_two_servers_share_nothing(stripe_server, client):
    client.v1.payment_intents.create(VISA)

    with StripeServer() as other:
        assert client_of(other).v1.payment_intents.list().data == []
