"""Connecting an environment to a Stripe account, and finding the account of an environment again."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.errors import Conflict, InvalidInput
from flint.events import services as events
from flint.merchants.models import Environment
from flint.sealing import Secret, Unsealable
from payments.models import PaymentIntent, PaymentOperation
from payments.models.intents import UNDER_WAY
from payments.processors.base import Misconfigured, ProcessorError
from payments.processors.stripe.client import StripeRefused, talking
from payments.processors.stripe.models import LOOPBACK, StripeAccount

BELIEVED_AFTER_ROTATION = timedelta(hours=24)
"""How long the webhook secret before the current one is believed, as long as Stripe lets two run side by side."""


class InvalidStripeKeys(InvalidInput):
    code = "INVALID_PROCESSOR_KEYS"
    message = "These keys cannot be used for this environment."


class StripeKeysChanged(Conflict):
    code = "PROCESSOR_KEYS_CHANGED"
    message = "Somebody else changed these keys a moment ago. Look at them again first."


class StripePaymentsOpen(Conflict):
    code = "PROCESSOR_PAYMENTS_OPEN"
    message = "Payments or refunds are still under way at Stripe. Let them end, or cancel them, before the keys go."


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
    actor: Actor | None = None,
    instead_of: datetime | None = None,
) -> StripeAccount:
    """
    Let an environment collect through Stripe from now on, or give it new keys. Stripe is asked whether it knows them.

    A new webhook secret leaves the one before it believed for a day, so that no notice is lost in between.
    ``instead_of`` is when the keys that these replace were entered, for who looked at them first.

    :raises InvalidStripeKeys: if a key is of another kind or mode, Stripe does not take it, or it opens another account
        while payments are under way at the one before; nothing is changed then.
    :raises StripeKeysChanged: if others were entered since ``instead_of``.
    """
    at = at or timezone.now()
    actor = actor or actors.system(environment_id)
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
        if instead_of is not None and (before is None or before.updated_at != instead_of):
            raise StripeKeysChanged()
        if before is not None:
            account.created_at = before.created_at
            _keep_previous_secret(account, before, at)
        account.save(force_insert=before is None)
        Environment.objects.filter(id=environment.id).update(processor="stripe", updated_at=at)
        type = "processor.connected" if before is None else "processor.keys_changed"
        events.record_apart(environment.id, type, subject=environment, actor=actor, processor="stripe")
    return account


def rotate(
    *,
    environment_id: str,
    instead_of: datetime,
    secret_key: str = "",
    publishable_key: str = "",
    webhook_secret: str = "",
    at: datetime | None = None,
    actor: Actor | None = None,
) -> StripeAccount:
    """
    Give an environment new keys, as :func:`connect`; whatever is left empty stays as it is.

    :raises Misconfigured: if it has none.
    """
    before = account_of(environment_id)
    try:
        known = {"secret_key": before.secret_key.reveal(), "webhook_secret": before.webhook_secret.reveal()}
    except Unsealable:
        known = {"secret_key": "", "webhook_secret": ""}
    return connect(
        environment_id=environment_id,
        secret_key=secret_key or known["secret_key"],
        publishable_key=publishable_key or before.publishable_key,
        webhook_secret=webhook_secret or known["webhook_secret"],
        connected_account_id=before.connected_account_id,
        api_base=before.api_base,
        at=at,
        actor=actor,
        instead_of=instead_of,
    )


def check(environment_id: str) -> None:
    """
    Ask Stripe whether it still takes an environment's secret key, and in the right mode. Nothing is changed.

    :raises Misconfigured: if there are no keys. :raises InvalidStripeKeys: if Stripe does not take them.
    """
    _ask_stripe(account_of(environment_id))


def disconnect(*, environment_id: str, actor: Actor) -> None:
    """
    Forget an environment's keys. A sandbox then collects through the sandbox processor, a live one through none.

    :raises Misconfigured: if it has none.
    :raises StripePaymentsOpen: if a payment or refund is still under way there, which nobody could end any more.
    """
    with transaction.atomic():
        environment = Environment.objects.select_for_update().get(id=environment_id)
        account = account_of(environment_id)
        if open_payments(environment_id).exists():
            raise StripePaymentsOpen()
        account.delete()
        # Whoever read the name a moment ago finds no keys, and hears that nothing was done.
        Environment.objects.filter(id=environment_id).update(
            processor="" if environment.is_live else "sandbox", updated_at=timezone.now()
        )
        events.record_apart(
            environment_id, "processor.disconnected", subject=environment, actor=actor, processor="stripe"
        )


def open_payments(environment_id: str):
    """Return the payments of an environment that something is still to become of at Stripe."""
    unanswered = PaymentOperation.objects.filter(environment_id=environment_id, answered_at__isnull=True)
    return PaymentIntent.objects.filter(environment_id=environment_id, processor="stripe").filter(
        Q(status__in=[*UNDER_WAY, "requires_capture"])
        | Q(refund_pending_amount__gt=0)
        | Q(id__in=unanswered.values("payment_intent_id"))
    )


def webhook_url(environment_id: str) -> str:
    """Return where Stripe's notices for an environment must be sent."""
    path = reverse("receive_notice", kwargs={"processor": "stripe", "environment_id": environment_id})
    return f"{settings.BASE_URL}{path}"


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
    _refuse_another_account(account)


def _refuse_another_account(account: StripeAccount) -> None:
    """Refuse keys that do not open the account where payments are under way: nobody could end these any more."""
    tries = PaymentOperation.objects.filter(
        payment_intent__in=open_payments(account.environment_id), kind="confirm"
    ).exclude(reference="")
    reference = tries.order_by("-id").values_list("reference", flat=True).first()
    if reference is None:
        return
    try:
        with talking(account, "connect") as client:
            client.v1.payment_intents.retrieve(reference)
    except StripeRefused:
        raise InvalidStripeKeys(
            "These keys are of another Stripe account, and payments are still under way at the one before.",
            param="secret_key",
        ) from None
    except ProcessorError as error:
        raise InvalidStripeKeys(f"Stripe did not show a payment that is under way: {error}") from None
