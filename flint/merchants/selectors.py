"""Reads on merchants. :func:`authenticate` is the one way from a secret to what it may do."""

import hmac
import re
from datetime import datetime, timedelta

from django.db.models import Q

from flint.errors import Unauthenticated
from flint.merchants.models import ApiKey, Environment, KeyStatus, Kind
from flint.merchants.services import digest_of

SECRET = re.compile(r"flint_(test|live)_[0-9a-f]{64}")
USE_NOTED_EVERY = timedelta(minutes=10)


class InvalidApiKey(Unauthenticated):
    code = "INVALID_API_KEY"
    message = "No such API key. Check that it was copied whole and belongs to this installation."


class ApiKeyRevoked(Unauthenticated):
    code = "API_KEY_REVOKED"
    message = "This API key was revoked. Use another one."


class ApiKeyExpired(Unauthenticated):
    code = "API_KEY_EXPIRED"
    message = "This API key has expired. Use another one."


def authenticate(secret: str, at: datetime) -> ApiKey:
    """
    Return the key with this secret, its environment and merchant loaded, in one statement.

    The time of use is noted every ten minutes at most, which then takes a second one.

    :raises InvalidApiKey: if there is no such key, or it cannot be one.
    :raises ApiKeyRevoked: if it was taken back.
    :raises ApiKeyExpired: if its time is over.
    """
    if not SECRET.fullmatch(secret):
        raise InvalidApiKey()
    digest = digest_of(secret)
    try:
        key = ApiKey.objects.select_related("environment__merchant").get(digest=digest)
    except ApiKey.DoesNotExist:
        raise InvalidApiKey() from None
    # The prefix is part of what was digested, so a mode that differs means a row was tampered with.
    if not hmac.compare_digest(key.digest, digest) or not secret.startswith(f"flint_{key.environment.mode}_"):
        raise InvalidApiKey()
    if key.status == KeyStatus.REVOKED:
        raise ApiKeyRevoked()
    if key.expires_at is not None and key.expires_at <= at:
        raise ApiKeyExpired()
    noted_before = at - USE_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at < noted_before:
        # The condition is asked again by the database, so of many requests at once one writes.
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=noted_before)
        ApiKey.objects.filter(stale, id=key.id).update(last_used_at=at)
        key.last_used_at = at
    return key


def default_sandbox(merchant_id: str) -> Environment:
    """Return the sandbox that every merchant has from the start."""
    return Environment.objects.get(merchant_id=merchant_id, kind=Kind.SANDBOX, is_default=True)


def live_environment(merchant_id: str) -> Environment:
    """Return the one environment of a merchant in which real money moves."""
    return Environment.objects.get(merchant_id=merchant_id, kind=Kind.LIVE)
