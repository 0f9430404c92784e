"""Stripe's keys in the admin: who may enter them, what is checked, what is ever shown of them, and when they may go."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from flint.events.models import Event
from flint.merchants import selectors
from flint.merchants import services as merchants
from flint.merchants.models import Environment
from flint.testing import stories
from flint.testing.fixtures import client_of
from flint.testing.staff import page, signed_in
from flint.testing.stripe_server.fixture import WEBHOOK_SECRET
from payments.processors.stripe import accounts
from payments.processors.stripe.models import StripeAccount
from payments.processors.stripe.tests.calls import pay
from payments.tests import acts
from payments.tests.acts import at_once

pytestmark = pytest.mark.django_db

STEM = "admin:stripe_processor_stripeaccount"


@pytest.fixture
def developer(merchant):
    return signed_in(merchant, "developer", first_name="Dee", last_name="Ola")


@pytest.fixture
def keys(stripe_server, settings) -> dict[str, str]:
    settings.STRIPE_API_BASE = stripe_server.url
    return {
        "secret_key": stripe_server.secret_key,
        "publishable_key": stripe_server.publishable_key,
        "webhook_secret": "whsec_typed_by_a_developer",
    }


def url(view: str, environment: Environment) -> str:
    return reverse(f"{STEM}_{view}", args=[environment.id])


def change(browser, environment: Environment, **typed: str):
    """Open the form on keys that are there, and send what was typed."""
    form = browser.get(url("keys", environment)).context["form"]
    data = {"secret_key": "", "publishable_key": "", "webhook_secret": "", "seen": form["seen"].value(), **typed}
    return browser.post(url("keys", environment), data, follow=True)


def refresh(environment: Environment) -> Environment:
    return Environment.objects.get(id=environment.id)


def test_an_environment_is_connected_and_collects(developer, environment, keys, stripe_server, settings):
    listed = page(developer.get(reverse(f"{STEM}_changelist")))
    assert url("keys", environment) in listed
    form = page(developer.get(url("keys", environment)))
    assert f"{settings.BASE_URL}/notices/stripe/{environment.id}" in form and "sk_test_" in form

    told = developer.post(url("keys", environment), keys, follow=True)

    shown = page(told)
    assert "collects through Stripe" in shown
    assert f"…{keys['secret_key'][-4:]}" in shown and f"…{keys['webhook_secret'][-4:]}" in shown
    assert f"{settings.BASE_URL}/notices/stripe/{environment.id}" in shown
    assert refresh(environment).processor == "stripe"
    assert pay(environment).status == "succeeded"
    event = Event.objects.get(type="processor.connected")
    assert (event.actor_label, event.subject_id, event.data) == ("Dee Ola", environment.id, {"processor": "stripe"})


def test_no_page_and_no_event_ever_shows_a_secret(developer, environment, keys):
    pages = [developer.post(url("keys", environment), keys | {"publishable_key": "no"})]
    pages += [developer.post(url("keys", environment), keys, follow=True)]
    pages += [developer.get(url(view, environment)) for view in ("keys", "change")]
    pages += [
        developer.get(reverse(f"{STEM}_changelist")),
        change(developer, environment, secret_key="sk_live_wrong_one"),
    ]
    pages += [developer.post(url("check", environment), follow=True)]
    for secret in (keys["secret_key"], keys["webhook_secret"], "sk_live_wrong_one"):
        for shown in pages:
            assert secret not in shown.content.decode()
    assert keys["secret_key"] not in repr(list(Event.objects.values()))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"secret_key": "sk_live_1"}, "The secret key of a sandbox begins with sk_test_ or rk_test_."),
        ({"secret_key": "pk_test_1"}, "begins with sk_test_"),
        ({"secret_key": "sk_test_unknown"}, "Stripe did not take the secret key"),
        ({"publishable_key": "pk_live_1"}, "The publishable key of a sandbox begins with pk_test_."),
        ({"webhook_secret": "sk_test_1"}, "The webhook secret of a sandbox begins with whsec_."),
        ({"connected_account_id": "ac_1"}, "A connected account begins with acct_."),
        ({"secret_key": ""}, "This field is required."),
    ],
)
def test_keys_that_cannot_be_are_refused_at_their_field_and_nothing_is_stored(
    developer, environment, keys, typed, words
):
    refused = developer.post(url("keys", environment), keys | typed)

    assert refused.status_code == 400
    assert words in " ".join(refused.context["form"].errors.get(next(iter(typed)), []))
    assert words in refused.content.decode().replace("&#x27;", "'")
    assert not StripeAccount.objects.exists()
    assert refresh(environment).processor == "sandbox"


def test_a_live_environment_takes_live_keys_only(developer, merchant, keys, stripe_server):
    live = selectors.live_environment(merchant.id)
    assert developer.post(url("keys", live), keys).status_code == 400
    assert refresh(live).processor == ""
    account = stripe_server.open_account(livemode=True)
    told = developer.post(
        url("keys", live),
        keys | {"secret_key": stripe_server.new_key(account), "publishable_key": "pk_live_1"},
        follow=True,
    )
    assert "collects through Stripe" in page(told)
    assert "real money" in page(developer.post(url("check", live), follow=True))


def test_what_is_left_empty_stays_and_a_new_webhook_secret_overlaps_the_one_before(
    developer, stripe_environment, stripe_server
):
    before = StripeAccount.objects.get()

    told = change(developer, stripe_environment, webhook_secret="whsec_the_second_one_of_them")

    assert "…them" in page(told) and f"…{WEBHOOK_SECRET[-4:]}, believed until" in page(told)
    after = StripeAccount.objects.get()
    assert after.secret_key == before.secret_key and after.publishable_key == before.publishable_key
    believed = [each.reveal() for each in after.webhook_secrets(timezone.now())]
    assert believed == ["whsec_the_second_one_of_them", WEBHOOK_SECRET]
    assert len(after.webhook_secrets(timezone.now() + timedelta(hours=25))) == 1
    assert Event.objects.filter(type="processor.keys_changed").count() == 1
    second = stripe_server.new_key(stripe_server.account)
    assert f"…{second[-4:]}" in page(change(developer, stripe_environment, secret_key=second))
    assert pay(stripe_environment).status == "succeeded"


def test_keys_that_somebody_else_changed_in_the_meantime_are_not_overwritten(developer, stripe_environment):
    form = developer.get(url("keys", stripe_environment)).context["form"]
    change(developer, stripe_environment, webhook_secret="whsec_the_second_one_of_them")

    stale = {"seen": form["seen"].value(), "webhook_secret": "whsec_the_third_one_of_them"}
    refused = developer.post(url("keys", stripe_environment), stale)

    assert refused.status_code == 400 and "Somebody else changed" in refused.content.decode()
    assert StripeAccount.objects.get().webhook_secret.reveal() == "whsec_the_second_one_of_them"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_change_keys_at_once_one_is_told(stripe_environment):
    seen = StripeAccount.objects.get().updated_at

    def rotate(secret):
        return lambda: accounts.rotate(environment_id=stripe_environment.id, instead_of=seen, webhook_secret=secret)

    done = acts.ended(at_once(*(rotate(f"whsec_number_{n}") for n in range(3))), "PROCESSOR_KEYS_CHANGED")
    assert len(done) == 1
    assert StripeAccount.objects.get().webhook_secret == done[0].webhook_secret


def test_the_connection_is_tested_by_a_button(developer, stripe_environment, stripe_server):
    assert "It works: Stripe takes the key" in page(developer.post(url("check", stripe_environment), follow=True))
    stripe_server.faults.plan(on="balance", fault="error", status=401)
    refused = page(developer.post(url("check", stripe_environment), follow=True))
    assert "It does not work. Stripe did not take the secret key" in refused
    stripe_server.keys[stripe_server.secret_key] = stripe_server.open_account(livemode=True)
    assert "of the other mode" in page(developer.post(url("check", stripe_environment), follow=True))


def test_keys_of_another_account_are_refused_while_payments_are_under_way(developer, stripe_environment, stripe_server):
    shop = client_of(stripe_environment)
    order = stories.open_order(stripe_environment)
    waiting = acts.pay(shop, order, "pm_card_threeDSecure2Required")
    other = stripe_server.new_key(stripe_server.open_account())

    refused = change(developer, stripe_environment, secret_key=other)

    assert refused.status_code == 400 and "another Stripe account" in refused.content.decode()
    assert StripeAccount.objects.get().secret_key.reveal() == stripe_server.secret_key
    acts.cancel_attempt(shop, order, acts.attempt_of(waiting))
    assert change(developer, stripe_environment, secret_key=other).status_code == 200


@pytest.mark.parametrize("open_by", ["action", "hold", "refund", "silence"])
def test_keys_stay_while_anything_is_under_way(developer, stripe_environment, stripe_server, open_by):
    shop = client_of(stripe_environment)
    order = stories.open_order(stripe_environment)
    if open_by == "action":
        acts.pay(shop, order, "pm_card_threeDSecure2Required")
    elif open_by == "hold":
        acts.hold(shop, order)
    elif open_by == "silence":
        stripe_server.faults.plan(on="confirm", fault="lose_answer")
        acts.pay(shop, order)
    else:
        acts.pay(shop, order)
        stripe_server.faults.plan(on="refund", fault="lose_answer")
        stories.refund(order)

    refused = developer.post(url("disconnect", stripe_environment), follow=True)

    assert "still under way at Stripe" in page(refused)
    assert StripeAccount.objects.filter(pk=stripe_environment.id).exists()
    assert refresh(stripe_environment).processor == "stripe"


def test_keys_are_taken_out_when_nothing_is_under_way(developer, stripe_environment):
    shop = client_of(stripe_environment)
    acts.pay(shop, stories.open_order(stripe_environment))

    told = developer.post(url("disconnect", stripe_environment), follow=True)

    assert "The keys of" in page(told)
    assert not StripeAccount.objects.exists()
    assert refresh(stripe_environment).processor == "sandbox"
    assert Event.objects.get(type="processor.disconnected").actor_label == "Dee Ola"
    assert "no Stripe keys" in page(developer.post(url("disconnect", stripe_environment), follow=True))


@pytest.mark.parametrize(
    ("role", "sees", "may"), [("owner", 1, 1), ("developer", 1, 1), ("finance", 0, 0), ("support", 0, 0)]
)
def test_only_who_may_enters_keys(merchant, stripe_environment, keys, role, sees, may):
    browser = signed_in(merchant, role)
    assert browser.get(reverse(f"{STEM}_changelist")).status_code == (200 if sees else 403)
    assert browser.get(url("keys", stripe_environment)).status_code == (200 if may else 403)
    assert browser.post(url("check", stripe_environment)).status_code == (302 if may else 403)
    assert browser.get(url("disconnect", stripe_environment)).status_code == (405 if may else 403)
    browser.post(url("disconnect", stripe_environment))
    assert StripeAccount.objects.exists() != may


def test_nobody_touches_another_merchants_keys(stripe_environment, keys):
    rival = merchants.create_merchant(name="Rival", email="r@rival.example")
    stranger = signed_in(rival, "owner")
    for view in ("keys", "check", "disconnect", "change"):
        assert stranger.get(url(view, stripe_environment)).status_code == 404
        assert stranger.post(url(view, stripe_environment), keys).status_code == 404
    assert stripe_environment.id not in page(stranger.get(reverse(f"{STEM}_changelist")))
    assert StripeAccount.objects.get().secret_key.reveal() == keys["secret_key"]


def test_the_sandbox_is_never_set_on_a_live_environment(merchant):
    live = selectors.live_environment(merchant.id)
    with pytest.raises(IntegrityError, match="never_plays_with_the_sandbox"), transaction.atomic():
        Environment.objects.filter(id=live.id).update(processor="sandbox")
