"""Payment intents by themselves: those made without an order, and the list of all."""

from django.db.models import F, Q, QuerySet

from flint.api.fields import (
    EmailField,
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MetadataPatchField,
    MoneyField,
    StrictString,
)
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.queries import AmountFilter, CreatedFilter, Expand, ListQuery, Query, Several, UpdatedFilter
from flint.api.serializers import Input, Patch
from flint.api.views import ApiView
from orders.models import Customer
from orders.models.orders import Origin
from payments import selectors, services
from payments.api.devices import buyer_device
from payments.api.inputs import MAX_URL, PAYMENT_OPTIONS, CancelInput, token_field
from payments.api.outputs import (
    DISPUTE_STATUSES,
    FLOWS,
    PAYMENT_FLOWS,
    REFUND_STATUSES,
    LegResultOutput,
    PaymentIntentOutput,
)
from payments.api.views import SOURCE
from payments.models.intents import CaptureMethod, IntentStatus, TransactionPurpose

MOST_CUSTOMERS = 1_000
READ, WRITE = "payments.payment_intents.read", "payments.payment_intents.write"
OF_NO_ORDER = ["PAYMENT_INTENT_NOT_FOUND", "ORDER_PAYMENT_FLOW_REQUIRED"]
AMOUNTS = ["CURRENCY_MISMATCH", "INVALID_TIP_AMOUNT", "RESOURCE_NOT_FOUND"]

REFUNDED = {
    "none": Q(refunded_amount=0),
    "partially_refunded": Q(refunded_amount__gt=0, refunded_amount__lt=F("captured_amount")),
    "refunded": Q(refunded_amount__gt=0, refunded_amount__gte=F("captured_amount")),
}
"""Which payment intents have a refund status; it follows from their amounts."""


class CreateIntentInput(Input):
    """A payment without an order. `tip_money` is a part of `amount_money`."""

    amount_money = MoneyField(min_amount=1)
    payment_options = ListOf(
        EnumField(PAYMENT_OPTIONS, code="INVALID_PAYMENT_OPTIONS"),
        min_length=1,
        max_length=len(PAYMENT_OPTIONS),
        code="INVALID_PAYMENT_OPTIONS",
        code_few="PAYMENT_OPTIONS_REQUIRED",
        code_required="PAYMENT_OPTIONS_REQUIRED",
    )
    capture_method = EnumField(CaptureMethod.values, required=False, code="INVALID_CAPTURE_METHOD")
    customer_id = IdField("cus", required=False)
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField(required=False)
    receipt_email = EmailField(required=False)
    tip_money = MoneyField(required=False)
    payment_return_url = StrictString(max_length=MAX_URL, required=False, pattern=r"^https?://[^\s]+$")
    transaction_purpose = EnumField(TransactionPurpose.values, required=False, code="INVALID_TRANSACTION_PURPOSE")


class UpdateIntentInput(Patch):
    """A sparse change; null clears the reference, the receipt's address or the metadata."""

    amount_money = MoneyField(min_amount=1)
    tip_money = MoneyField()
    customer_id = IdField("cus")
    external_reference_id = ExternalReferenceField(allow_null=True)
    receipt_email = EmailField(allow_null=True)
    metadata = MetadataPatchField()


class ConfirmIntentInput(Input):
    """What to pay with: one credential. None at all goes on after the buyer's step."""

    body_optional = True

    payment_method_id = IdField("pm", required=False)
    payment_source_token = token_field()
    confirmation_token = token_field()


class CaptureIntentInput(Input):
    """How much of the hold to take; all of it when no amount is named."""

    body_optional = True

    amount_money = MoneyField(required=False)


class ReadIntentQuery(Query):
    """How to show a payment intent."""

    expand = Expand(["customer", "order", "invoice"])


class IntentQuery(CreatedFilter, UpdatedFilter, AmountFilter, ListQuery):
    """Which payment intents to list."""

    amount_column = "amount"
    sorts = {"created_at": "created_at", "updated_at": "updated_at", "amount": "amount"}

    order_id = IdField("ord", required=False)
    invoice_id = IdField("inv", required=False, lookup="invoice_id")
    customer_id = IdField("cus", required=False, lookup="order__customer_id")
    status = EnumField(IntentStatus.values, required=False, code="INVALID_PAYMENT_INTENT_STATUS", lookup="status")
    origin = EnumField(Origin.values, required=False, code="INVALID_ORIGIN", lookup="order__origin")
    payment_flow = Several(PAYMENT_FLOWS, code="INVALID_PAYMENT_FLOW")
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")
    currency = StrictString(required=False, pattern=r"^[A-Z]{3}$", code="INVALID_CURRENCY", lookup="currency")
    refund_status = Several(REFUND_STATUSES, code="INVALID_REFUND_STATUS")
    dispute_status = Several(DISPUTE_STATUSES, code="INVALID_DISPUTE_STATUS", lookup="dispute_status__in")
    query = StrictString(required=False, code="INVALID_QUERY")

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        if "order_id" in self.values:
            rows = rows.filter(order_id=self.values["order_id"], order__is_hidden=False)
        if "payment_flow" in self.values:
            wanted = [origin for origin in Origin.values if FLOWS.get(origin, origin) in self.values["payment_flow"]]
            of_origin = Q(order__origin__in=wanted, invoice__isnull=True)
            of_invoice = Q(invoice__isnull=False) if "invoice" in self.values["payment_flow"] else Q()
            rows = rows.filter(of_origin | of_invoice if of_invoice else of_origin)
        if "refund_status" in self.values:
            any_of = Q()
            for status in self.values["refund_status"]:
                any_of |= REFUNDED[status]
            rows = rows.filter(any_of)
        return rows.filter(self._searched()) if "query" in self.values else rows

    def _searched(self) -> Q:
        """Match an id, a reference, a receipt's address or a card's last digits as a whole, or a customer in part."""
        text = self.values["query"].strip()
        customers = (
            Customer.objects.filter(environment_id=self.environment_id)
            .filter(Q(email__icontains=text) | Q(name__icontains=text))
            .order_by("-created_at", "-id")
            .values_list("id", flat=True)[:MOST_CUSTOMERS]
        )
        return (
            Q(id=text)
            | Q(external_reference_id=text)
            | Q(receipt_email__iexact=text)
            | Q(source_last4=text)
            | Q(order__customer_id__in=list(customers))
        )


class IntentRoute(ApiView):
    """A route of payment intents: read with one scope, changed with the other."""

    tag = "Payment intents"
    scopes = {"GET": READ, "POST": WRITE, "PATCH": WRITE}

    def reply_intent(self, leg):
        """Answer with a payment intent as it is now, and with the buyer's step if one waits."""
        return self.reply(selectors.with_action(leg))


class IntentCollection(IntentRoute):
    inputs = {"POST": CreateIntentInput}
    queries = {"GET": IntentQuery}
    outputs = {"GET": [PaymentIntentOutput], "POST": LegResultOutput}
    statuses = {"POST": 201}
    names = {"GET": "list_payment_intents", "POST": "create_payment_intent"}
    codes = {
        "POST": [
            *AMOUNTS,
            "PAYMENT_RETURN_URL_REQUIRED",
            "PAYMENT_CAPTURE_METHOD_NOT_ALLOWED",
            "TRANSACTION_PURPOSE_REQUIRED",
            "TRANSACTION_PURPOSE_NOT_APPLICABLE",
            "PROCESSOR_NOT_CONFIGURED",
        ]
    }

    def get(self, request):
        """
        List payment intents, those of orders and standalone ones.

        ``query`` matches an id, an external reference, a receipt's address or the last four digits as a whole, and
        parts of the customer's name and email.
        """
        return self.reply_page(paginate(selectors.readable_intents(request.actor), self.query(IntentQuery)))

    @idempotent
    def post(self, request):
        """Create a payment intent without an order."""
        leg = services.create_intent(data=self.validated(CreateIntentInput), actor=request.actor)
        leg.environment = request.environment
        collection = selectors.intent_collection(leg)
        return self.reply(LegResultOutput({"payment_intent": leg, "payment_collection": collection}))


class IntentView(IntentRoute):
    buyers = ("GET",)
    inputs = {"PATCH": UpdateIntentInput}
    queries = {"GET": ReadIntentQuery}
    outputs = {"GET": PaymentIntentOutput, "PATCH": PaymentIntentOutput}
    names = {"GET": "get_payment_intent", "PATCH": "update_payment_intent"}
    codes = {
        "GET": ["PAYMENT_INTENT_NOT_FOUND"],
        "PATCH": [
            *AMOUNTS,
            "PAYMENT_INTENT_NOT_FOUND",
            "PAYMENT_INTENT_CANNOT_BE_UPDATED",
            "AMOUNT_NOT_UPDATABLE",
            "CUSTOMER_NOT_UPDATABLE",
            "RECEIPT_EMAIL_NOT_UPDATABLE",
        ],
    }

    def get(self, request, payment_intent_id: str):
        """
        Get a payment intent, with or without an order.

        A buyer gets those of its own checkout session, without what is only the merchant's.
        """
        return self.reply(selectors.read_intent(payment_intent_id, actor=request.actor))

    @idempotent
    def patch(self, request, payment_intent_id: str):
        """
        Change a payment intent that has not ended.

        Amount, tip and customer only while it waits for a payment method. A payment intent of an order keeps all but
        its external reference and its metadata.
        """
        data = self.validated(UpdateIntentInput)
        leg = services.update_intent(payment_intent_id=payment_intent_id, data=data, actor=request.actor)
        return self.reply_intent(leg)


class IntentConfirmation(IntentRoute):
    headers = {"POST": ["BuyerDevice"]}
    inputs = {"POST": ConfirmIntentInput}
    outputs = {"POST": PaymentIntentOutput}
    names = {"POST": "confirm_payment_intent"}
    codes = {
        "POST": [
            *OF_NO_ORDER,
            *SOURCE,
            "PAYMENT_METHOD_CUSTOMER_MISMATCH",
            "PAYMENT_ALREADY_SUCCEEDED",
            "PAYMENT_ALREADY_CANCELED",
            "PAYMENT_EXPIRED",
            "PAYMENT_CONFIRM_IN_PROGRESS",
            "PAYMENT_ATTEMPT_REQUIRES_CAPTURE",
            "PROCESSOR_NOT_CONFIGURED",
        ]
    }

    @idempotent(external=True)
    def post(self, request, payment_intent_id: str):
        """
        Pay a standalone payment intent.

        A decline is an ordinary answer: the payment intent waits for another payment method and carries
        `last_payment_error`. After the buyer's step, call again without a credential. One that is `processing` is
        settled later by itself. A saved payment method is charged as one whose owner is absent, unless the header
        `Flint-Buyer-Device` names their device.
        """
        data = {**self.validated(), "buyer_device": buyer_device(request)}
        return self.reply_intent(
            services.confirm_intent(payment_intent_id=payment_intent_id, data=data, actor=request.actor)
        )


class IntentCapture(IntentRoute):
    inputs = {"POST": CaptureIntentInput}
    outputs = {"POST": PaymentIntentOutput}
    names = {"POST": "capture_payment_intent"}
    codes = {
        "POST": [
            *OF_NO_ORDER,
            "PAYMENT_OPERATION_IN_PROGRESS",
            "PAYMENT_PROCESSOR_UNAVAILABLE",
            "INVALID_STATUS_FOR_CAPTURE",
            "INVALID_CAPTURE_AMOUNT",
            "CAPTURE_CURRENCY_MISMATCH",
            "CAPTURE_AMOUNT_EXCEEDS_CAPTURABLE",
            "PAYMENT_AUTHORIZATION_EXPIRED",
            "PAYMENT_AUTHORIZATION_NOT_CAPTURABLE",
        ]
    }

    @idempotent(external=True)
    def post(self, request, payment_intent_id: str):
        """Capture a standalone payment intent's hold, all of it or a part; what is not captured is released."""
        data = self.validated()
        return self.reply_intent(
            services.capture_intent(payment_intent_id=payment_intent_id, data=data, actor=request.actor)
        )


class IntentCancellation(IntentRoute):
    inputs = {"POST": CancelInput}
    outputs = {"POST": PaymentIntentOutput}
    names = {"POST": "cancel_payment_intent"}
    codes = {
        "POST": [
            *OF_NO_ORDER,
            "PAYMENT_OPERATION_IN_PROGRESS",
            "PAYMENT_PROCESSOR_UNAVAILABLE",
            "CANNOT_CANCEL_SUCCEEDED_PAYMENT",
            "PAYMENT_ALREADY_CANCELED",
            "CANNOT_CANCEL_EXPIRED_PAYMENT",
            "PAYMENT_ATTEMPT_STILL_PROCESSING",
            "PAYMENT_INTENT_NOT_CANCELABLE",
        ]
    }

    @idempotent(external=True)
    def post(self, request, payment_intent_id: str):
        """Cancel a standalone payment intent; a hold is released at the processor first."""
        data = self.validated()
        return self.reply_intent(
            services.cancel_intent(payment_intent_id=payment_intent_id, data=data, actor=request.actor)
        )
