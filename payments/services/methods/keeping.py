"""What a merchant does with a saved card: prefer it, or let go of it."""

from django.db import transaction
from django.utils import timezone

from flint.actors import Actor
from flint.celery import after_commit
from flint.errors import Conflict
from flint.events import services as events
from orders.models import Customer
from payments import tasks
from payments.models import PaymentMethod
from payments.models.methods import M
from payments.services.sources import PaymentMethodOnSessionOnly


class PaymentMethodNotActive(Conflict):
    code = "PAYMENT_METHOD_NOT_ACTIVE"
    message = "Only an active payment method can be a customer's default."


def set_default_method(*, payment_method_id: str, actor: Actor) -> PaymentMethod:
    """
    Make a payment method its customer's default. One that is already stays it.

    :raises PaymentMethodNotFound: if it is absent or foreign.
    :raises PaymentMethodNotActive: if it cannot be charged.
    :raises PaymentMethodOnSessionOnly: if the buyer saved it for their own checkouts.
    """
    with transaction.atomic():
        customer, method = _locked(payment_method_id, actor)
        if method.status != M.ACTIVE:
            raise PaymentMethodNotActive(current_status=method.status)
        if method.usage != "off_session":
            raise PaymentMethodOnSessionOnly
        if customer.default_payment_method_id != method.id:
            _prefer(customer, method.id)
            events.record_apart(
                method.environment_id,
                "payment_method.preferred",
                subject=method,
                actor=actor,
                customer_id=customer.id,
            )
    return method


def remove_method(*, payment_method_id: str, actor: Actor) -> PaymentMethod:
    """
    Never charge a payment method again; the processor forgets it after the commit. A removed one stays removed.

    A payment that is under way with it ends as it may: the processor is told once it has.

    :raises PaymentMethodNotFound: if it is absent or foreign.
    """
    with transaction.atomic():
        customer, method = _locked(payment_method_id, actor)
        if method.status == M.REMOVED:
            return method
        method.remove(at=timezone.now())
        method.save()
        if customer.default_payment_method_id == method.id:
            _prefer(customer, "")
        events.record_apart(
            method.environment_id, "payment_method.removed", subject=method, actor=actor, customer_id=customer.id
        )
        if method.detach_at:
            after_commit(tasks.detach_method, payment_method_id=method.id, environment_id=method.environment_id)
    return method


def _locked(payment_method_id: str, actor: Actor) -> tuple[Customer, PaymentMethod]:
    """Lock a payment method behind its customer, who has the default."""
    found = PaymentMethod.objects.of(actor).find(id=payment_method_id)
    customer = Customer.objects.of(actor).lock(id=found.customer_id)
    return customer, PaymentMethod.objects.of(actor).lock(id=found.id)


def _prefer(customer: Customer, method_id: str) -> None:
    customer.default_payment_method_id = method_id
    customer.version += 1
    customer.save(update_fields=["default_payment_method_id", "version", "updated_at"])
