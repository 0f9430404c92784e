"""The payment operations of an order."""

from typing import Any

from flint.actors import Actor
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.queries import ListQuery
from flint.api.views import ApiView
from orders.models import Order
from orders.selectors import read_order
from payments import selectors, services
from payments.api.devices import buyer_device
from payments.api.inputs import CancelInput, CancelLegInput, CaptureInput, CreateLegInput, PayInput
from payments.api.outputs import (
    CanceledAttemptOutput,
    ClosedResultOutput,
    LegResultOutput,
    PaymentAttemptOutput,
    PayResultOutput,
)
from payments.models import PaymentAttempt

SOURCE = [
    "PAYMENT_SOURCE_REQUIRED",
    "INVALID_PAYMENT_SOURCE",
    "PAYMENT_SOURCE_CONFLICT",
    "PAYMENT_SOURCE_NOT_ALLOWED",
    "CONFIRMATION_TOKEN_REQUIRED",
    "PAYMENT_OPTION_NOT_ALLOWED",
    "PAYMENT_SOURCE_OWNERSHIP_MISMATCH",
    "PAYMENT_METHOD_NOT_READY",
    "PAYMENT_METHOD_UNAVAILABLE",
    "PAYMENT_METHOD_ON_SESSION_ONLY",
    "RESOURCE_NOT_FOUND",
]
STATE = [
    "ORDER_NOT_FOUND",
    "ORDER_CLOSED",
    "ORDER_PAYMENT_ATTEMPT_ACTIVE",
    "ORDER_NOT_PAYABLE",
    "ORDER_HAS_OPEN_CHECKOUT",
    "ORDER_COLLECTION_ALREADY_ACTIVE",
    "INVOICE_NOT_COLLECTIBLE",
    "INVOICE_SCHEDULE_ENTRY_NOT_COLLECTIBLE",
]
SAVING = [
    f"SAVE_PAYMENT_METHOD_{reason}"
    for reason in (
        "CREDENTIAL_REQUIRED",
        "NOT_OFFERED",
        "UNSUPPORTED",
        "VERIFICATION_REQUIRED",
        "TOKEN_MISMATCH",
        "PHONE_NOT_OFFERED",
    )
]
ENDED = ["ORDER_PAYMENT_LEG_ALREADY_SETTLED", "PAYMENT_ALREADY_CANCELED", "CANNOT_CANCEL_EXPIRED_PAYMENT"]
UNDER_WAY = [
    "PAYMENT_ATTEMPT_ID_REQUIRED",
    "PAYMENT_ATTEMPT_MISMATCH",
    "PAYMENT_OPERATION_IN_PROGRESS",
    "PAYMENT_PROCESSOR_UNAVAILABLE",
]


class PayView(ApiView):
    tag = "Payments"
    buyers = ("POST",)
    scopes = {"POST": "commerce.orders.write"}
    headers = {"POST": ["BuyerDevice"]}
    inputs = {"POST": PayInput}
    outputs = {"POST": PayResultOutput}
    names = {"POST": "pay_order"}
    codes = {
        "POST": [
            *STATE,
            "PAYMENT_PROCESSOR_UNAVAILABLE",
            *ENDED,
            "ORDER_ALREADY_PAID",
            "PAYMENT_NOT_REQUIRED",
            *SAVING,
            *SOURCE,
            "ORDER_PAYMENT_CUSTOMER_MISMATCH",
            "PAYMENT_LEG_SELECTION_REQUIRED",
            "PAYMENT_INTENT_NOT_PART_OF_ORDER",
            "PAYMENT_OPERATION_IN_PROGRESS",
            "ORDER_DELAYED_CAPTURE_SPLIT_PAYMENT_UNSUPPORTED",
            "ORDER_CHANGED_REFRESH_REQUIRED",
            "PAYMENT_ATTEMPT_NOT_RESUMABLE",
            "PROCESSOR_NOT_CONFIGURED",
        ]
    }

    @idempotent(external=True)
    def post(self, request, order_id: str):
        """
        Pay an order.

        Starts a payment attempt, or resumes one. A decline is an ordinary answer: the attempt is `failed` and the
        payment intent carries `last_payment_error`. An attempt that is `processing` is settled later by itself.
        A saved payment method is charged as one whose owner is absent, unless the header `Flint-Buyer-Device` names
        their device.
        """
        data = {**self.validated(), "buyer_device": buyer_device(request)}
        paid = services.pay(order_id=order_id, data=data, actor=request.actor)
        return self.reply(PayResultOutput(_order_and_attempt(order_id, paid.attempt.id, request.actor)))


class OrderPaymentIntentCollection(ApiView):
    tag = "Payments"
    buyers = ("POST",)
    scopes = {"POST": "commerce.orders.write"}
    inputs = {"POST": CreateLegInput}
    outputs = {"POST": LegResultOutput}
    statuses = {"POST": 201}
    names = {"POST": "create_order_payment_intent"}
    codes = {
        "POST": [
            *STATE,
            "CHECKOUT_ORDER_UPDATE_FIELD_NOT_ALLOWED",
            "PAYMENT_OPTION_NOT_ALLOWED",
            "ORDER_ALREADY_PAID",
            "AMOUNT_EXCEEDS_BALANCE",
            "CURRENCY_MISMATCH",
            "PAYMENT_INTENT_LIMIT_REACHED",
            "PROCESSOR_NOT_CONFIGURED",
        ]
    }

    @idempotent
    def post(self, request, order_id: str):
        """Create a payment intent on an order."""
        leg = services.create_leg(order_id=order_id, data=self.validated(), actor=request.actor)
        collection = selectors.intent_collection(leg)
        return self.reply(LegResultOutput({"payment_intent": leg, "payment_collection": collection}))


class CaptureView(ApiView):
    tag = "Payments"
    scopes = {"POST": "commerce.orders.write"}
    inputs = {"POST": CaptureInput}
    outputs = {"POST": ClosedResultOutput}
    names = {"POST": "capture_order_payment_intent"}
    codes = {
        "POST": [
            "ORDER_NOT_FOUND",
            "PAYMENT_INTENT_NOT_FOUND",
            *UNDER_WAY,
            "INVALID_STATUS_FOR_CAPTURE",
            "INVALID_CAPTURE_AMOUNT",
            "CAPTURE_CURRENCY_MISMATCH",
            "CAPTURE_AMOUNT_EXCEEDS_CAPTURABLE",
            "PAYMENT_AUTHORIZATION_EXPIRED",
            "PAYMENT_AUTHORIZATION_NOT_CAPTURABLE",
        ]
    }

    @idempotent(external=True)
    def post(self, request, order_id: str, payment_intent_id: str):
        """Capture a held payment, all of it or a part; what is not captured is released."""
        closed = services.capture(
            order_id=order_id, payment_intent_id=payment_intent_id, data=self.validated(), actor=request.actor
        )
        return self.reply(ClosedResultOutput(_closed(closed, request.actor)))


class CancelIntentView(ApiView):
    tag = "Payments"
    buyers = ("POST",)
    scopes = {"POST": "commerce.orders.write"}
    inputs = {"POST": CancelLegInput}
    outputs = {"POST": ClosedResultOutput}
    names = {"POST": "cancel_order_payment_intent"}
    codes = {
        "POST": [
            "ORDER_NOT_FOUND",
            "PAYMENT_INTENT_NOT_FOUND",
            *ENDED,
            *UNDER_WAY,
            "PAYMENT_ATTEMPT_STILL_PROCESSING",
            "PAYMENT_INTENT_NOT_CANCELABLE",
        ]
    }

    @idempotent(external=True)
    def post(self, request, order_id: str, payment_intent_id: str):
        """Cancel an unsettled payment intent; a hold is released at the processor first."""
        closed = services.cancel_leg(
            order_id=order_id, payment_intent_id=payment_intent_id, data=self.validated(), actor=request.actor
        )
        return self.reply(ClosedResultOutput(_closed(closed, request.actor)))


class AttemptCollection(ApiView):
    tag = "Payments"
    buyers = ("GET",)
    scopes = {"GET": "commerce.orders.read"}
    queries = {"GET": ListQuery}
    outputs = {"GET": [PaymentAttemptOutput]}
    names = {"GET": "list_order_payment_attempts"}
    codes = {"GET": ["ORDER_NOT_FOUND"]}

    def get(self, request, order_id: str):
        """List the payment attempts of an order, newest first."""
        order = Order.objects.of(request.actor).find(id=order_id)
        rows = PaymentAttempt.objects.of(request.actor).filter(order_id=order.id)
        return self.reply_page(paginate(selectors.attempts_with_tries(rows), self.query()))


class AttemptView(ApiView):
    tag = "Payments"
    buyers = ("GET",)
    scopes = {"GET": "commerce.orders.read"}
    outputs = {"GET": PaymentAttemptOutput}
    names = {"GET": "get_order_payment_attempt"}
    codes = {"GET": ["ORDER_NOT_FOUND"]}

    def get(self, request, order_id: str, order_payment_attempt_id: str):
        """Get a payment attempt."""
        return self.reply(selectors.read_attempt(order_id, order_payment_attempt_id, actor=request.actor))


class CancelAttemptView(ApiView):
    tag = "Payments"
    buyers = ("POST",)
    scopes = {"POST": "commerce.orders.write"}
    inputs = {"POST": CancelInput}
    outputs = {"POST": CanceledAttemptOutput}
    names = {"POST": "cancel_order_payment_attempt"}
    codes = {
        "POST": [
            "ORDER_NOT_FOUND",
            "PAYMENT_ATTEMPT_NOT_CANCELABLE",
            "PAYMENT_ATTEMPT_STILL_PROCESSING",
            "PAYMENT_OPERATION_IN_PROGRESS",
            "PAYMENT_PROCESSOR_UNAVAILABLE",
        ]
    }

    @idempotent(external=True)
    def post(self, request, order_id: str, order_payment_attempt_id: str):
        """Cancel an open payment attempt, its holds and its waiting payment intents."""
        attempt_id = order_payment_attempt_id
        services.cancel_attempt(order_id=order_id, attempt_id=attempt_id, data=self.validated(), actor=request.actor)
        return self.reply(CanceledAttemptOutput(_order_and_attempt(order_id, attempt_id, request.actor)))


def _order_and_attempt(order_id: str, attempt_id: str, actor: Actor) -> dict[str, Any]:
    return {
        "order": read_order(order_id, actor=actor),
        "payment_attempt": selectors.read_attempt(order_id, attempt_id, actor=actor),
    }


def _closed(closed: services.Closed, actor: Actor) -> dict[str, Any]:
    attempt = closed.attempt and selectors.read_attempt(closed.order.id, closed.attempt.id, actor=actor)
    return {
        "order": read_order(closed.order.id, actor=actor),
        "payment_intent": closed.payment_intent,
        "payment_attempt": attempt,
    }
