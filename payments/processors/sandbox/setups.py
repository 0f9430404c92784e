"""
Cards that the network keeps for later: begun over the interface, finished by the buyer, paid with by a token.

A kept card belongs to one customer of one environment and is charged together with the customer's name here.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from flint.ids import new_id
from payments.processors import base
from payments.processors.base import Refused, SetupRequest, SetupState, SourceSummary
from payments.processors.sandbox import faults, notices, operations, tokens
from payments.processors.sandbox.keeping import customer_reference_of
from payments.processors.sandbox.models import SandboxSetup, SandboxToken

KEPT_ALL_THE_SAME = {"card_chargeCustomerFail"}
"""Cards that decline every payment, but only once they were kept."""


def begin(request: SetupRequest) -> SetupState:
    """
    Begin to keep a card of a customer.

    :raises Refused: ``not_found`` if the customer's name here is somebody else's.
    """
    base.refuse_inside_transaction()
    known = customer_reference_of(request.customer_id)
    parameters = {"payment_method_id": request.payment_method_id, "customer_id": request.customer_id}

    def perform() -> str:
        return SandboxSetup.objects.create(
            environment_id=request.environment_id, operation_id=request.operation_id, **parameters
        ).reference

    with faults.around_call(request.environment_id, "setup"), transaction.atomic(durable=True):
        if request.customer_reference not in ("", known):
            raise Refused("not_found", f"There is no customer {request.customer_reference}.")
        reference = operations.once(request.environment_id, request.operation_id, "setup", parameters, perform)
        return state_of(SandboxSetup.objects.select_related("token").get(reference=reference))


def find(environment_id: str, **lookup: str) -> SetupState | None:
    """Return a setup of the environment by its reference or by our operation, or None."""
    with faults.around_call(environment_id, "retrieve"):
        found = SandboxSetup.objects.filter(environment_id=environment_id, **lookup).select_related("token")
        setup = found.order_by("created_at", "reference").first()
        return setup and state_of(setup)


def forget(*, environment_id: str, token: str) -> None:
    """Forget a kept card; payments made with it stay as they are."""
    base.refuse_inside_transaction()
    with faults.around_call(environment_id, "setup"), transaction.atomic(durable=True):
        kept = SandboxSetup.objects.filter(environment_id=environment_id, token_id=token)
        SandboxToken.objects.filter(token__in=list(kept.values_list("token_id", flat=True))).delete()


def check_owner(*, environment_id: str, token: str, customer_reference: str) -> bool:
    """
    Tell a kept card from one handed in just now.

    :raises Refused: ``invalid_payment_source`` if a kept card is charged without its customer, or with another.
    """
    kept = SandboxSetup.objects.filter(environment_id=environment_id, token_id=token).order_by("reference").first()
    if kept is not None and customer_reference != customer_reference_of(kept.customer_id):
        raise Refused("invalid_payment_source", "The card is kept for another customer.")
    return kept is not None


def complete(client_secret: str, *, token: str, passes: bool = True, at: datetime | None = None) -> SandboxSetup | None:
    """
    Do what the buyer does: hand in a card, and prove who they are if their bank asks. None if the secret opens nothing.

    A declined card leaves the setup open for another one; once a card is kept, nothing happens any more.

    :raises Refused: ``invalid_payment_source`` if the token is unknown, or not a card's.
    """
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        found = SandboxSetup.objects.select_for_update(of=("self",)).filter(client_secret=client_secret)
        setup = found.order_by("reference").first()
        if setup is not None and setup.status != setup.Status.SUCCEEDED:
            _try(setup, token, passes, at)
    return setup


def _try(setup: SandboxSetup, token: str, passes: bool, at: datetime) -> None:
    name, source = tokens.find_source(setup.environment_id, token)
    behaviour = tokens.BEHAVIOURS[name]
    if behaviour.is_bank:
        raise Refused("invalid_payment_source", "Only cards are kept.")
    code = ""
    if behaviour.outcome == "decline" and name not in KEPT_ALL_THE_SAME:
        code = behaviour.code
    elif behaviour.outcome == "authenticate" and not passes:
        code = "authentication_required"
    if code:
        setup.decline(code=code, message=tokens.MESSAGES[code])
    else:
        setup.keep(_kept(setup, name, source, token, at))
    setup.save()
    _tell(setup, at)


def _kept(setup: SandboxSetup, name: str, source: SourceSummary, token: str, at: datetime) -> SandboxToken:
    """Make a token of its own for the card, so that forgetting it forgets nothing else."""
    exp_month, exp_year = tokens.expiry_of(setup.environment_id, token, at)
    return SandboxToken.objects.create(
        token=new_id("pm"),
        environment_id=setup.environment_id,
        behaviour=name,
        brand=source.brand,
        last4=source.last4,
        exp_month=exp_month,
        exp_year=exp_year,
    )


def page_url(client_secret: str) -> str:
    """Return the address of the buyer's page, opened by the setup's own secret."""
    return f"{settings.BASE_URL}{reverse('sandbox:keep_card', kwargs={'client_secret': client_secret})}"


def state_of(setup: SandboxSetup) -> SetupState:
    """Return a setup as the contract has it."""
    token = setup.token
    return SetupState(
        reference=setup.reference,
        status=str(setup.status),
        operation_id=setup.operation_id,
        payment_method_id=setup.payment_method_id,
        environment_id=setup.environment_id,
        client_secret=setup.client_secret,
        redirect_url=page_url(setup.client_secret),
        customer_reference=customer_reference_of(setup.customer_id),
        token=token.token if token else "",
        source=SourceSummary("card", token.brand, token.last4, exp_month=token.exp_month, exp_year=token.exp_year)
        if token
        else None,
        error_code=setup.error_code,
        error_message=setup.error_message,
        created_at=setup.created_at,
    )


def _tell(setup: SandboxSetup, at: datetime) -> None:
    snapshot: dict[str, Any] = {
        "reference": setup.reference,
        "status": str(setup.status),
        "error_code": setup.error_code,
        "metadata": {"operation_id": setup.operation_id, "payment_method_id": setup.payment_method_id},
    }
    notices.write(setup.environment_id, f"setup.{setup.status}", "setup", setup.reference, snapshot=snapshot, at=at)
