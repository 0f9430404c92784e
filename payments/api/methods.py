"""Payment methods: saved cards of customers."""

from typing import Any

from django.db.models import QuerySet

from flint.api.fields import EnumField, IdField, StrictBoolean, StrictInteger, StrictString, TimestampField
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.queries import Expand, ListQuery, Query
from flint.api.serializers import Input, Output
from flint.api.views import ApiView
from flint.errors import InvalidInput
from orders.api.serializers import CustomerSummaryOutput, Derived, extend_customer
from orders.models import Customer
from payments import selectors, services
from payments.models import PaymentMethod
from payments.models.methods import MethodStatus, Usage
from payments.processors import processor_of
from payments.processors.base import SetupState

READ, WRITE = "payments.payment_methods.read", "payments.payment_methods.write"
TYPES = ["card"]


class PaymentMethodStatusUnsupported(InvalidInput):
    code = "CHECKOUT_PAYMENT_METHOD_STATUS_UNSUPPORTED"
    message = "A buyer only sees payment methods that are active."


class SaveMethodInput(Input):
    """Whose card to save."""

    customer_id = IdField("cus")
    type = EnumField(TYPES, required=False, code="INVALID_PAYMENT_METHOD_TYPE")


class ReadMethodQuery(Query):
    """How to show a payment method."""

    expand = Expand(["customer"])


class MethodQuery(ListQuery):
    """Which payment methods to list; the active ones if no status is named."""

    customer_id = IdField("cus", required=False, lookup="customer_id")
    type = EnumField(TYPES, required=False, code="INVALID_PAYMENT_METHOD_TYPE", lookup="type")
    status = EnumField(MethodStatus.values, required=False, code="INVALID_PAYMENT_METHOD_STATUS", lookup="status")
    usage = EnumField(Usage.values, required=False, code="INVALID_PAYMENT_METHOD_USAGE", lookup="usage")

    def apply(self, rows: QuerySet) -> QuerySet:
        rows = super().apply(rows)
        return rows if "status" in self.values else rows.filter(status=MethodStatus.ACTIVE)


class SavedCardOutput(Output):
    """What may be shown of a saved card."""

    brand = StrictString()
    last4 = StrictString()
    exp_month = StrictInteger(minimum=1, required=False)
    exp_year = StrictInteger(minimum=1, required=False)


def card_of(method: PaymentMethod) -> PaymentMethod | None:
    """Return what shows the card of a method, once there is one."""
    return method if method.last4 else None


class PaymentMethodSummaryOutput(Output):
    """A payment method beside something else."""

    payment_method_id = IdField("pm", source="id")
    type = EnumField(TYPES)
    status = EnumField(MethodStatus.values)
    card = Derived(card_of, SavedCardOutput(), required=False)


class PaymentMethodOutput(PaymentMethodSummaryOutput):
    """A customer's card that may be charged again."""

    expandable = {"customer"}

    customer_id = IdField("cus")
    usage = EnumField(Usage.values)
    merchant_id = IdField("mer", source="environment.merchant_id", required=False)
    customer = CustomerSummaryOutput(required=False, allow_null=True)
    created_at = TimestampField(required=False)
    updated_at = TimestampField(required=False)


class SetupSecretOutput(Output):
    """The secret that lets the buyer's browser hand in a card. Shown nowhere else."""

    client_secret = StrictString()
    stripe_js_call = EnumField(["confirm_setup"])


class StripeSetupOutput(Output):
    """How the processor's own library takes the card."""

    publishable_key = StrictString(required=False)
    account_id = StrictString(required=False)
    setup_intent = SetupSecretOutput()


class ClientSetupOutput(Output):
    """How the buyer hands in the card: by the processor's library, or, with a `redirect_url`, on a page of its own."""

    stripe = StripeSetupOutput()
    redirect_url = StrictString(required=False)


class SavedMethodOutput(Output):
    """A payment method, and how the buyer hands in its card."""

    payment_method = PaymentMethodOutput()
    client_setup = ClientSetupOutput(required=False)


class ActionResultOutput(Output):
    """That it was done."""

    success = StrictBoolean()


def client_setup_of(method: PaymentMethod, setup: SetupState | None) -> dict[str, Any] | None:
    """Return how a browser goes on with a setup; nothing once it is over."""
    if setup is None:
        return None
    keys = processor_of(method.processor).collection(environment_id=method.environment_id)
    secret = {"client_secret": setup.client_secret, "stripe_js_call": "confirm_setup"}
    return {"stripe": {**keys, "setup_intent": secret}, "redirect_url": setup.redirect_url}


def default_of(customer: Customer) -> PaymentMethod | None:
    """Return a customer's default payment method."""
    methods = PaymentMethod.objects.filter(environment_id=customer.environment_id, customer_id=customer.id)
    return methods.filter(id=customer.default_payment_method_id).order_by("id").first()


extend_customer(
    default_payment_method=Derived(default_of, PaymentMethodSummaryOutput(), required=False, allow_null=True)
)


class MethodRoute(ApiView):
    """A route of payment methods: read with one scope, changed with the other."""

    tag = "Payment methods"
    scopes = {"GET": READ, "POST": WRITE, "DELETE": WRITE}

    def shown(self, method: PaymentMethod) -> PaymentMethod:
        """Have a payment method of the caller's environment carry what it is shown with."""
        method.environment = self.request.environment
        return method


class MethodCollection(MethodRoute):
    buyers = ("GET",)
    inputs = {"POST": SaveMethodInput}
    queries = {"GET": MethodQuery}
    outputs = {"GET": [PaymentMethodOutput], "POST": SavedMethodOutput}
    statuses = {"POST": 201}
    names = {"GET": "list_payment_methods", "POST": "create_payment_method"}
    codes = {
        "GET": ["CHECKOUT_PAYMENT_METHOD_STATUS_UNSUPPORTED"],
        "POST": ["RESOURCE_NOT_FOUND", "PROCESSOR_NOT_CONFIGURED", "PAYMENT_PROCESSOR_UNAVAILABLE"],
    }

    def get(self, request):
        """
        List payment methods; only the active ones unless `status` names another.

        A buyer is shown the active ones of the customer that the checkout acts for.
        """
        query = self.query(MethodQuery)
        if request.actor.is_buyer and query.values.get("status", MethodStatus.ACTIVE) != MethodStatus.ACTIVE:
            raise PaymentMethodStatusUnsupported(param="status")
        return self.reply_page(paginate(selectors.readable_methods(request.actor), query))

    @idempotent(external=True)
    def post(self, request):
        """
        Begin to save a customer's card.

        The buyer's browser hands in the card with `client_setup`; the payment method is `pending` until then, and
        becomes `active` or `failed` a moment after. Repeat a request that was not answered with its Idempotency-Key:
        it goes on with the same card.
        """
        saved = services.save_method(data=self.validated(SaveMethodInput), actor=request.actor)
        shown = {
            "payment_method": self.shown(saved.method),
            "client_setup": client_setup_of(saved.method, saved.setup),
        }
        return self.reply(SavedMethodOutput(shown))


class MethodView(MethodRoute):
    buyers = ("GET",)
    queries = {"GET": ReadMethodQuery}
    outputs = {"GET": PaymentMethodOutput, "DELETE": ActionResultOutput}
    names = {"GET": "get_payment_method", "DELETE": "remove_payment_method"}
    codes = {"GET": ["RESOURCE_NOT_FOUND"], "DELETE": ["RESOURCE_NOT_FOUND"]}

    def get(self, request, payment_method_id: str):
        """Get a payment method, whatever its status."""
        return self.reply(selectors.readable_methods(request.actor).find(id=payment_method_id))

    @idempotent
    def delete(self, request, payment_method_id: str):
        """
        Remove a payment method; it is never charged again.

        A payment that is under way with it ends as it may. A customer whose default it was has none afterwards.
        """
        services.remove_method(payment_method_id=payment_method_id, actor=request.actor)
        return self.reply(ActionResultOutput({"success": True}))


class MethodDefault(MethodRoute):
    outputs = {"POST": PaymentMethodOutput}
    names = {"POST": "set_default_payment_method"}
    codes = {"POST": ["RESOURCE_NOT_FOUND", "PAYMENT_METHOD_NOT_ACTIVE", "PAYMENT_METHOD_ON_SESSION_ONLY"]}

    @idempotent
    def post(self, request, payment_method_id: str):
        """Make a payment method its customer's default."""
        method = services.set_default_method(payment_method_id=payment_method_id, actor=request.actor)
        return self.reply(self.shown(method))
