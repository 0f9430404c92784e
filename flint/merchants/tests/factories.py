"""Merchants, environments, keys and staff at rest."""

import factory
from django.contrib.auth import get_user_model
from django.utils import timezone
from factory.django import DjangoModelFactory

from flint.ids import new_id
from flint.merchants import services
from flint.merchants.models import ApiKey, Environment, Kind, Merchant, Role, StaffMember
from flint.merchants.scopes import FULL_ACCESS


class MerchantFactory(DjangoModelFactory):
    """A merchant without environments; see ``services.create_merchant`` for a whole one."""

    class Meta:
        model = Merchant

    name = factory.Sequence(lambda n: f"Merchant {n}")
    business_name = factory.SelfAttribute("name")
    email = factory.Sequence(lambda n: f"owner{n}@merchant.example")


class EnvironmentFactory(DjangoModelFactory):
    """A merchant's default sandbox."""

    class Meta:
        model = Environment

    merchant = factory.SubFactory(MerchantFactory)
    kind = Kind.SANDBOX
    name = "Default sandbox"
    sandbox_id = factory.LazyFunction(lambda: new_id("test"))
    is_default = True

    class Params:
        live = factory.Trait(kind=Kind.LIVE, name="Live", sandbox_id=None, processor="")


class ApiKeyFactory(DjangoModelFactory):
    """A key with every scope, in use already; its secret is at ``key.secret``."""

    class Meta:
        model = ApiKey

    environment = factory.SubFactory(EnvironmentFactory)
    name = factory.Sequence(lambda n: f"Key {n}")
    scopes = FULL_ACCESS
    last_used_at = factory.LazyFunction(timezone.now)

    @classmethod
    def _create(cls, model_class, *, environment, name, scopes, expires_at=None, **rest):
        key, secret = services.create_api_key(environment=environment, name=name, scopes=scopes, expires_at=expires_at)
        ApiKey.objects.filter(id=key.id).update(**rest)
        key.refresh_from_db()
        key.secret = secret
        return key


class UserFactory(DjangoModelFactory):
    """A person who can sign in to the admin with the password ``correct horse``."""

    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"staff{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@merchant.example")
    is_staff = True
    password = factory.django.Password("correct horse")


class StaffMemberFactory(DjangoModelFactory):
    """Somebody from support."""

    class Meta:
        model = StaffMember

    user = factory.SubFactory(UserFactory)
    merchant = factory.SubFactory(MerchantFactory)
    role = Role.SUPPORT
