"""Keys: checked with Stripe, sealed at rest, rotated without losing a notice."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from flint.merchants.models import Environment, Kind
from flint.sealing import Secret, Unsealable
from flint.testing.stripe_server.fixture import WEBHOOK_SECRET
from payments.processors.base import Misconfigured
from payments.processors.stripe import accounts
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.tests.calls import pay, processor

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys(stripe_server) -> dict[str, str]:
    return {
        "secret_key": stripe_server.secret_key,
        "publishable_key": stripe_server.publishable_key,
        "webhook_secret": "whsec_1",
        "api_base": stripe_server.url,
    }


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(a)::text FROM stripe_processor_stripeaccount a")
        return "".join(row[0] for row in cursor.fetchall())


def test_the_command_connects_an_environment_and_says_where_notices_go(environment, keys, settings):
    told = StringIO()

    call_command(
        "connect_stripe",
        environment=environment.id,
        secret_key=keys["secret_key"],
        publishable_key=keys["publishable_key"],
        webhook_secret=keys["webhook_secret"],
        api_base=keys["api_base"],
        stdout=told,
    )

    environment.refresh_from_db()
    assert environment.processor == "stripe"
    assert f"{settings.BASE_URL}/notices/stripe/{environment.id}" in told.getvalue()
    assert keys["secret_key"] not in told.getvalue()
    assert keys["webhook_secret"] not in told.getvalue()
    assert pay(environment).status == "succeeded"


def test_a_secret_can_be_typed_unseen(environment, keys, monkeypatch):
    typed = iter([keys["secret_key"], keys["webhook_secret"]])
    monkeypatch.setattr("payments.processors.stripe.management.commands.connect_stripe.getpass", lambda _: next(typed))

    call_command(
        "connect_stripe",
        environment=environment.id,
        stdout=StringIO(),
        **keys | {"secret_key": "-", "webhook_secret": "-"},
    )

    assert StripeAccount.objects.get().secret_key.reveal() == keys["secret_key"]


@pytest.mark.parametrize(
    ("kind", "change", "param"),
    [
        (Kind.SANDBOX, {"secret_key": "sk_live_1"}, "secret_key"),
        (Kind.SANDBOX, {"secret_key": "rk_live_1"}, "secret_key"),
        (Kind.SANDBOX, {"secret_key": "pk_test_1"}, "secret_key"),
        (Kind.SANDBOX, {"secret_key": "sk_test_"}, "secret_key"),
        (Kind.SANDBOX, {"secret_key": "sk_test_1\n"}, "secret_key"),
        (Kind.SANDBOX, {"secret_key": ""}, "secret_key"),
        (Kind.SANDBOX, {"publishable_key": "pk_live_1"}, "publishable_key"),
        (Kind.SANDBOX, {"publishable_key": "sk_test_1"}, "publishable_key"),
        (Kind.SANDBOX, {"webhook_secret": "sk_test_1"}, "webhook_secret"),
        (Kind.SANDBOX, {"webhook_secret": "whsec_"}, "webhook_secret"),
        (Kind.SANDBOX, {"connected_account_id": "1"}, "connected_account_id"),
        (Kind.SANDBOX, {"api_base": "http://stripe.example"}, "api_base"),
        (Kind.SANDBOX, {"api_base": "ftp://127.0.0.1"}, "api_base"),
        (Kind.LIVE, {}, "secret_key"),
        (Kind.LIVE, {"secret_key": "sk_live_1"}, "publishable_key"),
        (Kind.LIVE, {"secret_key": "sk_live_1", "publishable_key": "pk_live_1"}, "secret_key"),
    ],
)
def test_keys_of_another_kind_or_mode_are_refused_and_nothing_is_changed(merchant, keys, kind, change, param):
    environment = Environment.objects.get(merchant=merchant, kind=kind)
    before = environment.processor

    with pytest.raises(accounts.InvalidStripeKeys) as refusal:
        accounts.connect(environment_id=environment.id, **keys | change)

    assert refusal.value.param == param
    assert not any(value in str(refusal.value) for value in change.values() if len(value) > 8)
    environment.refresh_from_db()
    assert environment.processor == before
    assert not StripeAccount.objects.exists()


@pytest.mark.parametrize(
    "fault",
    [{"fault": "error", "status": 401}, {"fault": "error", "status": 403}, {"fault": "drop"}, {"fault": "garbage"}],
)
def test_keys_that_stripe_does_not_take_are_refused(stripe_server, environment, keys, fault):
    stripe_server.faults.plan(on="balance", **fault)

    with pytest.raises(CommandError) as refusal:
        call_command("connect_stripe", environment=environment.id, **keys)

    assert keys["secret_key"] not in str(refusal.value)
    assert not StripeAccount.objects.exists()
    environment.refresh_from_db()
    assert environment.processor == "sandbox"


def test_a_key_that_turns_out_to_be_of_the_other_mode_is_refused(stripe_server, environment, keys):
    stripe_server.keys[keys["secret_key"]] = stripe_server.open_account(livemode=True)

    with pytest.raises(accounts.InvalidStripeKeys, match="other mode"):
        accounts.connect(environment_id=environment.id, **keys)


def test_a_live_environment_takes_live_keys(stripe_server, merchant, keys):
    live = Environment.objects.get(merchant=merchant, kind=Kind.LIVE)
    account = stripe_server.open_account(livemode=True)
    live_keys = {"secret_key": stripe_server.new_key(account), "publishable_key": "pk_live_1"}

    accounts.connect(environment_id=live.id, **keys | live_keys)

    assert pay(live).status == "succeeded"
    assert len(account.book.charges()) == 1
    assert stripe_server.book.charges() == []


def test_an_environment_that_does_not_exist(keys):
    with pytest.raises(CommandError, match="no such environment"):
        call_command("connect_stripe", environment="env_1", **keys)


def test_a_connected_account_is_reached_by_the_platforms_key(stripe_server, environment, keys):
    connected = stripe_server.open_account("acct_connected")
    stripe_server.account.connected.add(connected.id)

    accounts.connect(environment_id=environment.id, connected_account_id=connected.id, **keys)

    pay(environment)
    assert len(connected.book.charges()) == 1
    assert stripe_server.book.charges() == []
    assert processor.collection(environment_id=environment.id)["account_id"] == "acct_connected"


def test_an_account_that_is_not_connected_is_refused(stripe_server, environment, keys):
    with pytest.raises(accounts.InvalidStripeKeys):
        accounts.connect(environment_id=environment.id, connected_account_id="acct_stranger", **keys)


def test_secrets_are_sealed_and_never_shown(stripe_server, stripe_environment):
    account = StripeAccount.objects.get()

    for secret in (stripe_server.secret_key, WEBHOOK_SECRET):
        assert secret not in stored()
        assert secret not in f"{account} {account!r} {account.__dict__} {account.secret_key} {account.webhook_secret!r}"
    assert account.secret_key.reveal() == stripe_server.secret_key
    assert account.webhook_secret.reveal() == WEBHOOK_SECRET


def test_a_new_webhook_secret_leaves_the_last_one_believed_for_a_day(environment, keys):
    at = timezone.now()
    accounts.connect(environment_id=environment.id, at=at, **keys)
    accounts.connect(environment_id=environment.id, at=at, **keys | {"webhook_secret": "whsec_2"})
    accounts.connect(environment_id=environment.id, at=at + timedelta(hours=1), **keys | {"webhook_secret": "whsec_2"})

    account = StripeAccount.objects.get()

    def believed(after):
        return [secret.reveal() for secret in account.webhook_secrets(at + after)]

    assert believed(timedelta(hours=23)) == ["whsec_2", "whsec_1"]
    assert believed(timedelta(hours=24)) == ["whsec_2"]


def test_encryption_keys_are_rotated(stripe_server, stripe_environment, settings):
    old, new = settings.ENCRYPTION_KEYS[0], "a new key that is long enough to be one"
    settings.ENCRYPTION_KEYS = [new, old]
    before = stored()

    call_command("reseal_secrets", stdout=StringIO())

    assert stored() != before
    settings.ENCRYPTION_KEYS = [new]
    assert pay(stripe_environment).status == "succeeded"
    settings.ENCRYPTION_KEYS = [old]
    with pytest.raises(Misconfigured):
        pay(stripe_environment)
    with pytest.raises(CommandError, match="FLINT_ENCRYPTION_KEYS"):
        call_command("reseal_secrets")


def test_keys_can_be_entered_anew_when_the_encryption_key_is_lost(stripe_environment, keys, settings):
    settings.ENCRYPTION_KEYS = ["a new key that is long enough to be one"]

    account = accounts.connect(environment_id=stripe_environment.id, **keys)

    assert account.webhook_secrets(timezone.now()) == [Secret.of("whsec_1")]
    assert pay(stripe_environment).status == "succeeded"


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret.of("whsec_1")

    assert "whsec_1" not in f"{secret} {secret!r} {secret.sealed}"
    assert secret == Secret.of("whsec_1") != Secret.of("whsec_2")
    assert secret.sealed != Secret.of("whsec_1").sealed
    assert not Secret.of("")
    assert Secret.of("").reveal() == ""
    with pytest.raises(Unsealable):
        Secret("tampered").reveal()
