"""Connecting an environment to a Stripe account, and finding the account of an environment again."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from flint.errors import InvalidInput
from flint.merchants.models import Environment
from flint.sealing import Secret, Unsealable
from payments.processors.base import Misconfigured, ProcessorError
from payments.processors.stripe.client import talking
from payments.processors.stripe.models import LOOPBACK, StripeAccount

BELIEVED_AFTER_ROTATION = timedelta(hours=24)
"""How long the webhook secret before the current one is believed, as long as Stripe lets two run side by side."""


class InvalidStripeKeys(InvalidInput):
    code = "INVALID_PROCESSOR_KEYS"
    message = "These keys cannot be used for this environment."


def account_of(environment_id: str) -> StripeAccount:
    """Return an environment's account. :raises Misconfigured: if it has none."""
    account = StripeAccount.objects.select_related("environment").filter(pk=environment_id).order_by("pk").first()
    if account is None:
        raise Misconfigured(f"{environment_id} has no Stripe keys; enter them with manage.py connect_stripe")
    return account


def connect(
    *,
    environment_id: str,
    secret_key: str,
    publishable_key: str,
    webhook_secret: str,
    connected_account_id: str = "",
    api_base: str = "",
    at: datetime | None = None,
) -> StripeAccount:
    """
    Let an environment collect through Stripe from now on, or give it new keys. Stripe is asked whether it knows them.

    A new webhook secret leaves the one before it believed for a day, so that no notice is lost in between.

    :raises InvalidStripeKeys: if a key is of another kind or mode, or Stripe does not take it; nothing is changed then.
    """
    at = at or timezone.now()
    environment = Environment.objects.get(id=environment_id)
    _check_forms(environment, secret_key, publishable_key, webhook_secret, connected_account_id, api_base)
    account = StripeAccount(
        environment=environment,
        secret_key=Secret.of(secret_key),
        publishable_key=publishable_key,
        webhook_secret=Secret.of(webhook_secret),
        connected_account_id=connected_account_id,
        api_base=api_base.rstrip("/"),
    )
    _ask_stripe(account)
    with transaction.atomic():
        Environment.objects.select_for_update().get(id=environment.id)
        before = StripeAccount.objects.filter(pk=environment.id).order_by("pk").first()
        if before is not None:
            account.created_at = before.created_at
            _keep_previous_secret(account, before, at)
        account.save(force_insert=before is None)
        Environment.objects.filter(id=environment.id).update(processor="stripe", updated_at=at)
    return account


def reseal() -> int:
    """Seal every secret anew with the first of the encryption keys, and return of how many accounts."""
    with transaction.atomic():
        accounts = list(StripeAccount.objects.select_for_update(of=("self",)))
        for account in accounts:
            for name in ("secret_key", "webhook_secret", "previous_webhook_secret"):
                setattr(account, name, Secret.of(getattr(account, name).reveal()))
            account.save()
    return len(accounts)


def _keep_previous_secret(account: StripeAccount, before: StripeAccount, at: datetime) -> None:
    try:
        is_same = before.webhook_secret == account.webhook_secret
    except Unsealable:
        return
    if is_same:
        account.previous_webhook_secret, account.previous_until = before.previous_webhook_secret, before.previous_until
    else:
        account.previous_webhook_secret, account.previous_until = before.webhook_secret, at + BELIEVED_AFTER_ROTATION


def _check_forms(
    environment: Environment,
    secret_key: str,
    publishable_key: str,
    webhook_secret: str,
    connected_account_id: str,
    api_base: str,
) -> None:
    mode = environment.mode
    kind = "a live environment" if environment.is_live else "a sandbox"
    for param, value, prefixes in (
        ("secret_key", secret_key, (f"sk_{mode}_", f"rk_{mode}_")),
        ("publishable_key", publishable_key, (f"pk_{mode}_",)),
        ("webhook_secret", webhook_secret, ("whsec_",)),
    ):
        is_text = value.isascii() and value.isprintable() and " " not in value
        if not is_text or not value.startswith(prefixes) or value in prefixes:
            # The value itself is a secret, or may be one in the wrong place, so it is not repeated.
            raise InvalidStripeKeys(
                f"The {param.replace('_', ' ')} of {kind} begins with {' or '.join(prefixes)}.", param=param
            )
    if connected_account_id and not connected_account_id.startswith("acct_"):
        raise InvalidStripeKeys("A connected account begins with acct_.", param="connected_account_id")
    address = urlsplit(api_base)
    if api_base and not (address.scheme == "https" or (address.scheme == "http" and address.hostname in LOOPBACK)):
        raise InvalidStripeKeys("The API base is an https address, or one of this machine.", param="api_base")


def _ask_stripe(account: StripeAccount) -> None:
    try:
        with talking(account, "connect") as client:
            is_live = client.v1.balance.retrieve().livemode
    except ProcessorError as error:
        raise InvalidStripeKeys(f"Stripe did not take the secret key: {error}", param="secret_key") from None
    if is_live is not account.environment.is_live:
        raise InvalidStripeKeys("Stripe says that the secret key is of the other mode.", param="secret_key")
