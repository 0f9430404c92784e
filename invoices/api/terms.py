"""Payment terms: what requests may say of them, how they are shown, and their routes."""

from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    MoneyField,
    PercentField,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.queries import ListQuery, Query, WholeNumber
from flint.api.serializers import Input, Output, Patch, Tagged
from flint.api.views import ApiView
from invoices.models import InvoicePaymentTerm
from invoices.models.terms import Calculation, TermStatus
from invoices.services import terms as services
from orders.api.serializers.fields import Filled

INT32 = 2**31 - 1
LONGEST = 3_650
MODES = ["manual", "automatic"]


class KeptMoneyField(MoneyField):
    """Money of what was kept as JSON, in the form of the wire."""

    def to_representation(self, value):
        return value if isinstance(value, dict) else super().to_representation(value)


# What goes in


class OnReceiptInput(Input):
    """Due on the day of issue."""


class DaysInput(Input):
    """So many days."""

    days = StrictInteger(minimum=0, maximum=LONGEST, code="INVALID_INVOICE_PAYMENT_TERM")


class DayInput(Input):
    """A day of the month; in a shorter month its last one."""

    day = StrictInteger(minimum=1, maximum=31, code="INVALID_INVOICE_PAYMENT_TERM")


class CalculationInput(Tagged):
    """How the due date follows from the day of issue."""

    codes = {"type": "INVALID_INVOICE_PAYMENT_TERM", "choice": "INVALID_INVOICE_PAYMENT_TERM"}
    variants = {
        "on_receipt": OnReceiptInput,
        "net_days": DaysInput,
        "day_of_month": DayInput,
        "day_of_next_month": DayInput,
        "days_after_month_end": DaysInput,
    }


class GraceInput(Input):
    """After how many days beyond the due date a late fee is due, and whether it comes by itself."""

    grace_period_days = StrictInteger(minimum=0, maximum=LONGEST, code="INVALID_INVOICE_PAYMENT_TERM")
    application_mode = EnumField(MODES, required=False, code="INVALID_INVOICE_PAYMENT_TERM")


class FixedFeeInput(GraceInput):
    """An amount."""

    amount_money = MoneyField(min_amount=1, code_below="INVALID_INVOICE_LATE_FEE_AMOUNT")


class PercentageFeeInput(GraceInput):
    """A part of what is overdue."""

    percent = PercentField(minimum=1, code="INVALID_INVOICE_LATE_FEE_AMOUNT")


class LateFeePolicyInput(Tagged):
    """What being late costs."""

    codes = {"type": "INVALID_INVOICE_PAYMENT_TERM", "choice": "INVALID_INVOICE_PAYMENT_TERM"}
    variants = {"fixed": FixedFeeInput, "percentage": PercentageFeeInput}


class CreateTermInput(Input):
    """A new payment term."""

    name = StrictString()
    calculation = CalculationInput()
    late_fee_policy = LateFeePolicyInput(required=False)
    external_reference_id = ExternalReferenceField(required=False)


class UpdateTermInput(Patch):
    """A sparse change of a payment term; invoices issued by it stay what they are."""

    guards = ("expected_version",)

    name = StrictString()
    calculation = CalculationInput()
    late_fee_policy = LateFeePolicyInput(allow_null=True)
    external_reference_id = ExternalReferenceField(allow_null=True)
    expected_version = StrictInteger(minimum=1, maximum=INT32, code="INVALID_EXPECTED_VERSION")


class TermQuery(ListQuery):
    """Which payment terms to list."""

    status = EnumField(TermStatus.values, required=False, lookup="status")
    external_reference_id = ExternalReferenceField(required=False, lookup="external_reference_id")
    query = StrictString(required=False, code="INVALID_QUERY", lookup="name__icontains")


class ArchiveQuery(Query):
    """The version that the caller looked at."""

    expected_version = WholeNumber(minimum=1, maximum=INT32, code="INVALID_EXPECTED_VERSION")


# What comes out


class CalculationOutput(Output):
    """How the due date follows from the day of issue."""

    type = EnumField(Calculation.values)
    days = StrictInteger(minimum=0, required=False)
    day = StrictInteger(minimum=1, required=False)


class LateFeePolicyOutput(Output):
    """What being late costs."""

    type = EnumField(["fixed", "percentage"])
    amount_money = KeptMoneyField(required=False)
    percent = PercentField(required=False)
    grace_period_days = StrictInteger(minimum=0)
    application_mode = EnumField(MODES, required=False)


class InvoicePaymentTermOutput(Output):
    """When invoices are due, and what being late costs."""

    invoice_payment_term_id = IdField("ipt", source="id")
    merchant_id = IdField("mer", source="environment.merchant_id")
    name = StrictString()
    status = EnumField(TermStatus.values)
    calculation = CalculationOutput()
    late_fee_policy = LateFeePolicyOutput(required=False)
    external_reference_id = Filled("external_reference_id")
    version = StrictInteger(minimum=1)
    created_at = TimestampField()
    updated_at = TimestampField()


class TermRoute(ApiView):
    """A route under payment terms."""

    tag = "Invoice payment terms"
    scopes = {
        "GET": "commerce.invoices.read",
        "POST": "commerce.invoices.write",
        "PATCH": "commerce.invoices.write",
        "DELETE": "commerce.invoices.write",
    }

    def reply_term(self, term: InvoicePaymentTerm):
        """Answer with a term of the key's environment."""
        term.environment = self.request.environment
        return self.reply(term)


class TermCollection(TermRoute):
    inputs = {"POST": CreateTermInput}
    queries = {"GET": TermQuery}
    outputs = {"GET": [InvoicePaymentTermOutput], "POST": InvoicePaymentTermOutput}
    statuses = {"POST": 201}
    names = {"GET": "list_invoice_payment_terms", "POST": "create_invoice_payment_term"}

    def get(self, request):
        """
        List payment terms.

        ``query`` matches parts of names.
        """
        rows = InvoicePaymentTerm.objects.of(request.actor).select_related("environment")
        return self.reply_page(paginate(rows, self.query(TermQuery)))

    @idempotent
    def post(self, request):
        """Create a payment term."""
        return self.reply_term(services.create_term(data=self.validated(CreateTermInput), actor=request.actor))


class TermView(TermRoute):
    inputs = {"PATCH": UpdateTermInput}
    queries = {"DELETE": ArchiveQuery}
    outputs = dict.fromkeys(["GET", "PATCH", "DELETE"], InvoicePaymentTermOutput)
    codes = {
        "GET": ["RESOURCE_NOT_FOUND"],
        "PATCH": ["RESOURCE_NOT_FOUND", "INVOICE_PAYMENT_TERM_CHANGED", "INVOICE_PAYMENT_TERM_UNAVAILABLE"],
        "DELETE": ["RESOURCE_NOT_FOUND", "INVOICE_PAYMENT_TERM_CHANGED", "INVOICE_PAYMENT_TERM_IN_USE"],
    }
    names = {
        "GET": "get_invoice_payment_term",
        "PATCH": "update_invoice_payment_term",
        "DELETE": "archive_invoice_payment_term",
    }

    def get(self, request, invoice_payment_term_id):
        """Read a payment term."""
        return self.reply_term(InvoicePaymentTerm.objects.of(request.actor).find(id=invoice_payment_term_id))

    @idempotent
    def patch(self, request, invoice_payment_term_id):
        """Change a payment term. Drafts follow it; invoices issued by it stay what they are."""
        term = services.update_term(
            term_id=invoice_payment_term_id, data=self.validated(UpdateTermInput), actor=request.actor
        )
        return self.reply_term(term)

    @idempotent
    def delete(self, request, invoice_payment_term_id):
        """Archive a payment term. One that is the merchant's or a customer's default stays in use."""
        expected = self.query(ArchiveQuery).values.get("expected_version")
        term = services.archive_term(term_id=invoice_payment_term_id, expected_version=expected, actor=request.actor)
        return self.reply_term(term)
