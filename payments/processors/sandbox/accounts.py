"""The network's side of an environment: its keys, made when first asked for, and their rotation."""

from django.db import transaction

from payments.processors.sandbox.models import SandboxAccount, new_webhook_secret


def account_of(environment_id: str) -> SandboxAccount:
    """Return the environment's account, opening one the first time."""
    account, _ = SandboxAccount.objects.get_or_create(environment_id=environment_id)
    return account


def publishable_key_of(environment_id: str) -> str:
    """Return the key that browsers show. It names the environment and opens nothing."""
    return f"pk_sandbox_{environment_id.removeprefix('env_')}"


def rotate_secret(environment_id: str) -> SandboxAccount:
    """Sign with a new secret from now on, and keep believing the old one until :func:`retire_previous_secret`."""
    with transaction.atomic():
        account_of(environment_id)
        account = SandboxAccount.objects.select_for_update().get(environment_id=environment_id)
        account.previous_secret = account.webhook_secret
        account.webhook_secret = new_webhook_secret()
        account.save(update_fields=["webhook_secret", "previous_secret"])
    return account


def retire_previous_secret(environment_id: str) -> None:
    """Stop believing the secret before the current one."""
    SandboxAccount.objects.filter(environment_id=environment_id).update(previous_secret="")


def allow_over_refund(environment_id: str, allowed: bool = True) -> None:
    """Switch off the network's own check on refunds, so that a test sees whether anyone else checks."""
    account_of(environment_id)
    SandboxAccount.objects.filter(environment_id=environment_id).update(allow_over_refund=allowed)


def pay_out_daily(environment_id: str, daily: bool = True) -> None:
    """Have what is available paid out every night, or by hand only."""
    account_of(environment_id)
    SandboxAccount.objects.filter(environment_id=environment_id).update(pays_out_daily=daily)
