"""What tests of whole flows do: hear what Stripe tells, and compare Flint's books with Stripe's."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stripe_server import StripeServer
from orders.models import Order
from payments import inbound
from payments.models import PaymentOperation, ProcessorNotice


def later(**delta: float) -> datetime:
    """A moment after now."""
    return timezone.now() + timedelta(**delta)


def hear(server: StripeServer, *, handled: bool = True) -> list[str]:
    """Let Stripe post its events to Flint, and Flint handle them, at Stripe's time. Return how each notice ended."""
    at = datetime.fromtimestamp(server.clock.now(), UTC) + timedelta(seconds=1)

    def post(url: str, body: bytes, headers: dict[str, str]) -> int:
        _, processor, environment_id = url.rsplit("/", 2)
        inbound.receive(processor_name=processor, environment_id=environment_id, headers=headers, body=body, at=at)
        return 200

    with collecting():
        server.deliver(post)
    if handled:
        with stories.settled():
            inbound.handle_waiting(at=at)
    return list(ProcessorNotice.objects.order_by("told_at", "id").values_list("status", flat=True))


def drop_notices(server: StripeServer) -> None:
    """Let nobody hear what Stripe had to tell so far."""
    server.account.webhooks.waiting.clear()


def reference_of(order: Order) -> str:
    """Stripe's name for the order's newest payment."""
    confirms = PaymentOperation.objects.filter(payment_intent__order_id=order.id, kind="confirm")
    return confirms.order_by("-created_at", "-id").values_list("reference", flat=True)[0]


def collected(server: StripeServer, order: Order) -> int:
    """What the merchant has at Stripe for an order: charges, less refunds that did not come back."""
    book = server.book
    charges = [charge for charge in book.charges() if charge["metadata"].get("flint_order_id") == order.id]
    taken = {charge["id"]: charge["amount_captured"] for charge in charges}
    refunds = [refund for refund in book.refunds.values() if refund["charge"] in taken]
    given = sum(refund["amount"] for refund in refunds if refund["status"] == "succeeded")
    return sum(taken.values()) - given


def assert_same_books(server: StripeServer, order: Order, **expected: int | str) -> Order:
    """Assert an order's amounts, that its ledger adds up to them, and that Stripe has the same."""
    order = assert_books(order, processor=False, **expected)
    assert collected(server, order) == order.net_collected_amount
    return order
