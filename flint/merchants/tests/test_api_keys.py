"""Handing out, using and taking back keys."""

import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from flint.merchants import selectors, services
from flint.merchants.models import ApiKey
from flint.merchants.scopes import CATALOGUE, FULL_ACCESS, implied
from flint.merchants.tests.factories import ApiKeyFactory, EnvironmentFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("trait", "mode"), [({}, "test"), ({"live": True}, "live")])
def test_the_secret_is_shown_once_and_only_its_digest_is_kept(trait, mode):
    environment = EnvironmentFactory(**trait)
    key, secret = services.create_api_key(environment=environment, name="Server", scopes=["customers.read"])

    assert re.fullmatch(rf"flint_{mode}_[0-9a-f]{{64}}", secret)
    assert secret.startswith(key.prefix)
    assert len(key.prefix) == 16
    stored = ApiKey.objects.filter(id=key.id).values().get()
    assert not any(secret[16:] in str(value) for value in stored.values())


@pytest.mark.parametrize(
    ("scopes", "refusal", "param"),
    [
        ([], services.ScopesRequired, "scopes"),
        (["customers.read", "customers.dance"], services.UnknownScope, "scopes[1]"),
        (["customers.read", "webhooks.read", "customers.read"], services.DuplicateScope, "scopes[2]"),
    ],
)
def test_scopes_are_of_the_catalogue_each_once(scopes, refusal, param):
    with pytest.raises(refusal) as refused:
        services.create_api_key(environment=EnvironmentFactory(), name="k", scopes=scopes)
    assert refused.value.param == param
    assert not ApiKey.objects.exists()


def test_a_secret_leads_to_its_key_in_one_statement(django_assert_num_queries):
    environment = EnvironmentFactory()
    key = ApiKeyFactory(environment=environment)
    with django_assert_num_queries(1):
        found = selectors.authenticate(key.secret, timezone.now())
        assert found == key
        assert found.environment.merchant == environment.merchant


@pytest.mark.parametrize(
    "change", [str.upper, lambda s: s[:-1], lambda s: s + "0", lambda s: s[:-1] + "g", lambda s: ""]
)
def test_another_secret_leads_nowhere(change):
    secret = ApiKeyFactory().secret
    with pytest.raises(selectors.InvalidApiKey):
        selectors.authenticate(change(secret), timezone.now())


def test_a_secret_of_the_other_mode_leads_nowhere_even_if_the_row_was_tampered_with():
    key = ApiKeyFactory()
    live = key.secret.replace("flint_test_", "flint_live_")
    ApiKey.objects.filter(id=key.id).update(digest=services.digest_of(live))
    with pytest.raises(selectors.InvalidApiKey):
        selectors.authenticate(live, timezone.now())


def test_expiry_is_to_the_moment():
    now = timezone.now()
    key = ApiKeyFactory(expires_at=now)
    assert selectors.authenticate(key.secret, now - timedelta(microseconds=1)) == key
    with pytest.raises(selectors.ApiKeyExpired):
        selectors.authenticate(key.secret, now)


def test_revoking_is_for_good():
    key = ApiKeyFactory()
    now = timezone.now()
    revoked = services.revoke_api_key(environment_id=key.environment_id, api_key_id=key.id, at=now)

    assert (revoked.status, revoked.revoked_at) == ("revoked", now)
    with pytest.raises(selectors.ApiKeyRevoked):
        selectors.authenticate(key.secret, now)
    with pytest.raises(services.ApiKeyAlreadyRevoked):
        services.revoke_api_key(environment_id=key.environment_id, api_key_id=key.id, at=now)


def test_nobody_revokes_somebody_else_s():
    key, other = ApiKeyFactory(), EnvironmentFactory()
    with pytest.raises(services.ApiKeyNotFound):
        services.revoke_api_key(environment_id=other.id, api_key_id=key.id, at=timezone.now())
    assert selectors.authenticate(key.secret, timezone.now()) == key


def test_a_key_is_revoked_at_a_time_or_not_at_all():
    key = ApiKeyFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(id=key.id).update(status="revoked")
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(id=key.id).update(revoked_at=timezone.now())


def test_use_is_noted_every_ten_minutes_at_most():
    now = timezone.now()
    key = ApiKeyFactory(last_used_at=None)

    selectors.authenticate(key.secret, now)
    selectors.authenticate(key.secret, now + timedelta(minutes=9))
    key.refresh_from_db()
    assert key.last_used_at == now

    selectors.authenticate(key.secret, now + timedelta(minutes=11))
    key.refresh_from_db()
    assert key.last_used_at == now + timedelta(minutes=11)


class TestScopes:
    def test_the_catalogue_is_the_contract_s(self):
        assert {"commerce.orders.read", "commerce.refunds.tax_overrides.write", "payments.disputes.read"} <= CATALOGUE
        assert "payments.disputes.write" not in CATALOGUE
        assert sorted(CATALOGUE) == FULL_ACCESS

    def test_write_implies_read_where_there_is_one(self):
        assert implied(["commerce.orders.write"]) == {"commerce.orders.write", "commerce.orders.read"}
        assert implied(["commerce.orders.read"]) == {"commerce.orders.read"}
        assert implied(["commerce.refunds.tax_overrides.write"]) == {"commerce.refunds.tax_overrides.write"}
        assert implied(FULL_ACCESS) == CATALOGUE
        assert implied([]) == set()
