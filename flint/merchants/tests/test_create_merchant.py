"""Founding a merchant, and what the database refuses whoever asks."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from flint.ids import is_id
from flint.merchants import selectors, services
from flint.merchants.models import Environment, StaffMember
from flint.merchants.tests.factories import EnvironmentFactory, MerchantFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_comes_with_a_live_environment_and_a_default_sandbox():
    merchant = services.create_merchant(name="Corner Shop", email="owner@corner.example")

    live, sandbox = selectors.live_environment(merchant.id), selectors.default_sandbox(merchant.id)
    assert merchant.environments.count() == 2
    assert (live.mode, live.processor, live.sandbox_id) == ("live", "", None)
    assert (sandbox.mode, sandbox.processor, sandbox.is_default) == ("test", "sandbox", True)
    assert is_id(sandbox.sandbox_id, "test")
    assert is_id(merchant.id, "mer")
    assert is_id(live.id, "env")


def test_more_sandboxes_may_follow():
    merchant = services.create_merchant(name="Corner Shop", email="owner@corner.example")
    extra = services.create_sandbox(merchant_id=merchant.id, name="Staging")
    assert not extra.is_default
    assert selectors.default_sandbox(merchant.id) != extra


@pytest.mark.parametrize(
    "wrong",
    [
        {"live": True, "sandbox_id": "test_01J9Z6W2V7Q0M3T8K4B5N6P7R8"},
        {"sandbox_id": None},
        {"kind": "moon"},
    ],
)
def test_an_environment_is_live_or_a_sandbox_with_an_id(wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        EnvironmentFactory(**wrong)


@pytest.mark.parametrize("trait", [{"live": True}, {}])
def test_one_live_environment_and_one_default_sandbox_per_merchant(trait):
    first = EnvironmentFactory(**trait)
    with pytest.raises(IntegrityError), transaction.atomic():
        EnvironmentFactory(merchant=first.merchant, **trait)
    EnvironmentFactory(**trait)
    assert Environment.objects.count() == 2


def test_the_reporting_timezone_is_one_of_iana_s():
    merchant = MerchantFactory.build(reporting_timezone="Mars/Olympus")
    with pytest.raises(ValidationError):
        merchant.full_clean()
    MerchantFactory.build(reporting_timezone="Europe/Vienna").full_clean()


def test_staff_have_one_role_per_merchant():
    merchant, user = MerchantFactory(), UserFactory()
    services.add_staff(merchant=merchant, user=user, role="support")
    services.add_staff(merchant=merchant, user=user, role="finance")
    services.add_staff(merchant=MerchantFactory(), user=user, role="owner")

    assert sorted(member.role for member in StaffMember.objects.filter(user=user)) == ["finance", "owner"]
    with pytest.raises(ValueError, match="janitor"):
        services.add_staff(merchant=merchant, user=user, role="janitor")
