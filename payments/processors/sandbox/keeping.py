"""Cards that are kept because a payment said so, and the network's names for those they are kept for."""

from flint.ids import new_id
from payments.processors.sandbox.models import SandboxPayment, SandboxSetup, SandboxToken


def customer_reference_of(customer_id: str) -> str:
    """Return the network's name for a customer."""
    return f"sbc_{customer_id.rpartition('_')[2]}"


def keep_card_of(payment: SandboxPayment) -> None:
    """Keep the card of a payment that has just succeeded, as if its buyer had saved it by itself."""
    kept = SandboxToken.objects.create(
        token=new_id("pm"),
        environment_id=payment.environment_id,
        behaviour=payment.behaviour,
        brand=payment.brand,
        last4=payment.last4,
        exp_month=payment.exp_month,
        exp_year=payment.exp_year,
    )
    setup = SandboxSetup(
        environment_id=payment.environment_id,
        operation_id=payment.operation_id,
        payment_method_id="",
        customer_id=payment.keep_for,
    )
    setup.keep(kept)
    setup.save(force_insert=True)
    payment.kept_token = kept.token
    payment.save(update_fields=["kept_token", "updated_at"])
