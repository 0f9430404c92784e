"""Verbs on merchants: found one with its environments, hand out and take back keys, take on staff."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from flint.actors import Actor
from flint.api.metadata import merge
from flint.errors import Conflict, InvalidInput, NotFound
from flint.events import services as events
from flint.ids import new_id
from flint.merchants.models import ApiKey, Environment, KeyStatus, Kind, Merchant, Role, StaffMember, SurplusPolicy
from flint.merchants.scopes import CATALOGUE

PROFILE = (
    "business_name",
    "email",
    "phone",
    "address",
    "website_url",
    "support_email",
    "support_phone",
    "support_url",
    "reporting_timezone",
)
DISPLAYED = 16
"""How many characters of a secret stay readable: its prefix and a few more to tell keys apart."""


class ScopesRequired(InvalidInput):
    code = "SCOPES_REQUIRED"
    message = "Name at least one scope."


class UnknownScope(InvalidInput):
    code = "UNKNOWN_SCOPE"
    message = "The catalogue of scopes has no such scope."


class DuplicateScope(InvalidInput):
    code = "DUPLICATE_SCOPE"
    message = "Name each scope once."


class UnknownSurplusPolicy(InvalidInput):
    code = "UNKNOWN_SURPLUS_POLICY"
    message = "There is no such policy."


class MerchantChanged(Conflict):
    code = "MERCHANT_CHANGED"
    message = "The merchant has changed since you read it. Read it again and decide anew."


class ApiKeyNotFound(NotFound):
    code = "API_KEY_NOT_FOUND"
    message = "No such API key."


class ApiKeyAlreadyRevoked(Conflict):
    code = "API_KEY_ALREADY_REVOKED"
    message = "The key is revoked already; that is for good."


def digest_of(secret: str) -> str:
    """Return what is stored of a secret. It is random and long, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create_merchant(
    *,
    name: str,
    email: str,
    business_name: str = "",
    support_email: str = "",
    reporting_timezone: str = "UTC",
) -> Merchant:
    """Found a merchant with its live environment (no processor yet) and its default sandbox."""
    with transaction.atomic():
        merchant = Merchant.objects.create(
            name=name,
            email=email,
            business_name=business_name,
            support_email=support_email,
            reporting_timezone=reporting_timezone,
        )
        Environment.objects.create(merchant=merchant, kind=Kind.LIVE, name="Live", is_default=True, processor="")
        create_sandbox(merchant_id=merchant.id, name="Default sandbox", is_default=True)
    return merchant


def create_sandbox(*, merchant_id: str, name: str, is_default: bool = False) -> Environment:
    """Add a sandbox: an environment of its own in which no real money moves."""
    return Environment.objects.create(
        merchant_id=merchant_id, kind=Kind.SANDBOX, name=name, sandbox_id=new_id("test"), is_default=is_default
    )


def create_api_key(
    *, environment: Environment, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """
    Hand out a key. Return it with its secret, which is never readable again.

    :raises ScopesRequired: if no scope is named.
    :raises UnknownScope: if the catalogue lacks one.
    :raises DuplicateScope: if one is named twice.
    """
    if not scopes:
        raise ScopesRequired(param="scopes")
    for index, scope in enumerate(scopes):
        if scope not in CATALOGUE:
            raise UnknownScope(param=f"scopes[{index}]")
        if scope in scopes[:index]:
            raise DuplicateScope(param=f"scopes[{index}]")
    secret = f"flint_{environment.mode}_{secrets.token_hex(32)}"
    key = ApiKey.objects.create(
        environment=environment,
        name=name,
        prefix=secret[:DISPLAYED],
        digest=digest_of(secret),
        scopes=sorted(scopes),
        expires_at=expires_at,
    )
    return key, secret


def revoke_api_key(*, environment_id: str, api_key_id: str, at: datetime) -> ApiKey:
    """
    Take a key back for good.

    :raises ApiKeyNotFound: if the environment has no such key.
    :raises ApiKeyAlreadyRevoked: if that was done before.
    """
    with transaction.atomic():
        keys = ApiKey.objects.select_for_update(of=("self",)).filter(environment_id=environment_id)
        key = keys.filter(id=api_key_id).order_by("id").first()
        if key is None:
            raise ApiKeyNotFound()
        if key.status == KeyStatus.REVOKED:
            raise ApiKeyAlreadyRevoked()
        key.status, key.revoked_at = KeyStatus.REVOKED, at
        key.save(update_fields=["status", "revoked_at", "updated_at"])
    return key


def update_merchant(*, merchant_id: str, data: Mapping[str, Any], actor: Actor) -> Merchant:
    """
    Change who a merchant is and how it is reached. It is remembered in each of the environments.

    :raises MerchantChanged: if ``expected_version`` is stale.
    """
    with transaction.atomic():
        merchant = Merchant.objects.select_for_update().get(id=merchant_id)
        if "expected_version" in data and data["expected_version"] != merchant.version:
            raise MerchantChanged(param="expected_version", current_version=merchant.version)
        wanted = {name: data[name] for name in PROFILE if name in data}
        if "metadata" in data:
            wanted["metadata"] = merge(merchant.metadata, data["metadata"])
        cleared = {name: "" for name, value in wanted.items() if value is None and name != "address"}
        changed = {name: each for name, each in {**wanted, **cleared}.items() if getattr(merchant, name) != each}
        if changed:
            for name, value in changed.items():
                setattr(merchant, name, value)
            merchant.version += 1
            merchant.save(update_fields=[*changed, "version", "updated_at"])
            _remember(merchant, "merchant.updated", actor, version=merchant.version, changed=sorted(changed))
    return merchant


def set_surplus_policy(*, merchant_id: str, policy: str, actor: Actor) -> Merchant:
    """
    Say what becomes of money that comes in beyond what an order owes. It is remembered in each of the environments.

    :raises UnknownSurplusPolicy: if there is no such policy.
    """
    if policy not in SurplusPolicy.values:
        raise UnknownSurplusPolicy(param="policy")
    with transaction.atomic():
        merchant = Merchant.objects.select_for_update().get(id=merchant_id)
        if merchant.surplus_policy != policy:
            merchant.surplus_policy = policy
            merchant.save(update_fields=["surplus_policy", "updated_at"])
            _remember(merchant, "merchant.surplus_policy_changed", actor, policy=policy)
    return merchant


def _remember(merchant: Merchant, type: str, actor: Actor, **data: Any) -> None:
    for environment_id in merchant.environments.order_by("id").values_list("id", flat=True):
        events.record_apart(environment_id, type, subject=merchant, actor=actor, **data)


def add_staff(*, merchant: Merchant, user: AbstractBaseUser, role: str) -> StaffMember:
    """Take a user on as staff of a merchant, or give them another role there."""
    member, _ = StaffMember.objects.update_or_create(
        merchant=merchant, user=user, defaults={"role": Role(role)}, create_defaults={"role": Role(role)}
    )
    return member
