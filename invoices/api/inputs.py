"""What requests may say about invoices, with the codes of the contract. Rules on state are elsewhere."""

from flint.api.addresses import AddressInput
from flint.api.fields import (
    EmailField,
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MetadataPatchField,
    MoneyField,
    PercentField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.serializers import Input, Patch, Tagged
from invoices.models.schedules import EntryKind
from invoices.schedules import MOST_ENTRIES
from invoices.settings import MEMO_LENGTH, PaymentPolicyInput
from orders.api.serializers.inputs import AddLineItemsInput, FirstDiscountInput, TipInput

NOTE_LENGTH = 5_000
MOST_COPIES = 20
EARLIEST, LATEST = 1900, 2999


class CalendarField(TimestampField):
    """A moment around which days can be counted, in any time zone and for years of grace."""

    default_error_messages = {"range": f"This field is a time of the years {EARLIEST} to {LATEST}."}

    def to_internal_value(self, data):
        moment = super().to_internal_value(data)
        if not EARLIEST <= moment.year <= LATEST:
            self.refuse(self.code_for("type"), self.error_messages["range"])
        return moment


class ExpectedVersionInput(Input):
    """Nothing, or the version that the caller looked at."""

    body_optional = True

    expected_version = StrictInteger(minimum=1, required=False, code="INVALID_EXPECTED_VERSION")


# What it is for


class QuickPayInput(AddLineItemsInput):
    """What is sold by the invoice alone: an order is made for it, hidden from lists of orders."""

    customer_id = IdField("cus", required=False)
    discounts = ListOf(FirstDiscountInput(), required=False)
    requested_tip = TipInput(required=False, code="INVALID_TIP")
    buyer_note = StrictString(min_length=0, max_length=NOTE_LENGTH, required=False, code_too_long="NOTE_TOO_LONG")
    internal_note = StrictString(min_length=0, max_length=NOTE_LENGTH, required=False, code_too_long="NOTE_TOO_LONG")


# When it is due


class NoMembersInput(Input):
    """A choice that says it all."""


class AbsoluteDueInput(Input):
    """At a moment."""

    due_at = CalendarField()


class PaymentTermsDueInput(Input):
    """As a payment term says, from the day of issue on."""

    invoice_payment_term_id = IdField("ipt", code="INVALID_INVOICE_PAYMENT_TERM")


class PaymentDueInput(Tagged):
    """When the invoice is due."""

    codes = {
        "type": "INVALID_INVOICE_PAYMENT_DUE",
        "choice": "INVALID_INVOICE_PAYMENT_DUE_TYPE",
        "required": "INVALID_INVOICE_PAYMENT_DUE_TYPE",
    }
    variants = {
        "none": NoMembersInput,
        "absolute": AbsoluteDueInput,
        "payment_terms": PaymentTermsDueInput,
        "customer_default": NoMembersInput,
        "merchant_default": NoMembersInput,
    }


# How it is collected


class BuyerInitiatedInput(Input):
    """The buyer pays on the invoice's page."""

    payment_policy = PaymentPolicyInput(required=False)


class AutomaticInput(Input):
    """A saved payment method is charged when the invoice is due; the customer's default if none is named."""

    payment_method_id = IdField("pm", required=False)


class CollectionInput(Tagged):
    """How the invoice is collected."""

    codes = {
        "type": "INVALID_INVOICE_COLLECTION",
        "choice": "INVALID_INVOICE_COLLECTION_MODE",
        "required": "INVALID_INVOICE_COLLECTION_MODE",
    }
    tag = "mode"
    variants = {
        "merchant_default": NoMembersInput,
        "buyer_initiated": BuyerInitiatedInput,
        "automatic": AutomaticInput,
        "external": NoMembersInput,
    }


# In which parts


class FixedAmountInput(Input):
    """An amount."""

    amount_money = MoneyField(min_amount=1)


class PercentageAmountInput(Input):
    """A part of the invoice's total."""

    percent = PercentField(minimum=1)


class AmountSpecificationInput(Tagged):
    """How much one part of the invoice is."""

    codes = {"type": "INVOICE_SCHEDULE_INVALID", "choice": "INVOICE_SCHEDULE_INVALID"}
    variants = {
        "fixed": FixedAmountInput,
        "percentage": PercentageAmountInput,
        "remaining_balance": NoMembersInput,
    }


class EntryDueInput(Tagged):
    """When one part of the invoice is due."""

    codes = {"type": "INVOICE_SCHEDULE_INVALID", "choice": "INVOICE_SCHEDULE_INVALID"}
    variants = {"at_issue": NoMembersInput, "date": AbsoluteDueInput, "invoice_due_date": NoMembersInput}


class ScheduleEntryInput(Input):
    """One part of the invoice."""

    kind = EnumField(EntryKind.values, code="INVOICE_SCHEDULE_INVALID")
    amount_specification = AmountSpecificationInput()
    due = EntryDueInput()


class KeptScheduleEntryInput(ScheduleEntryInput):
    """One part of the invoice; named by its id, it is the one that the draft has."""

    invoice_schedule_entry_id = IdField("ise", required=False)


# Invoices


def _text(length: int = MEMO_LENGTH, **options) -> StrictString:
    return StrictString(min_length=0, max_length=length, required=False, **options)


def _copies(**options) -> ListOf:
    return ListOf(EmailField(), max_length=MOST_COPIES, required=False, **options)


class CreateInvoiceInput(Input):
    """A new draft: what it bills, and what is chosen of it already."""

    refusals = ("INVOICE_SOURCE_REQUIRED", "INVOICE_SOURCE_CONFLICT")

    order_id = IdField("ord", required=False)
    quick_pay = QuickPayInput(required=False, code_type="INVALID_INVOICE_DRAFT_SOURCE")
    recipient_email = EmailField(required=False)
    cc_emails = _copies()
    payment_due = PaymentDueInput(required=False)
    collection = CollectionInput(required=False)
    schedule_entries = ListOf(
        ScheduleEntryInput(), max_length=MOST_ENTRIES, required=False, code_many="INVOICE_SCHEDULE_INVALID"
    )
    scheduled_send_at = CalendarField(required=False)
    service_at = CalendarField(required=False)
    memo = _text()
    footer = _text()
    po_number = _text(255)
    reference = _text(255)
    remit_to_address = AddressInput(required=False)
    external_reference_id = ExternalReferenceField(required=False)
    metadata = MetadataField(required=False)

    def validate(self, attrs):
        if "order_id" in attrs and "quick_pay" in attrs:
            self.refuse("INVOICE_SOURCE_CONFLICT", "An invoice bills an order_id or a quick_pay, not both.")
        if "order_id" not in attrs and "quick_pay" not in attrs:
            self.refuse("INVOICE_SOURCE_REQUIRED", "An invoice bills an order_id or a quick_pay.")
        return attrs


class UpdateInvoiceInput(Patch):
    """A sparse change of a draft; null clears. After the issue it is reminders_paused alone."""

    guards = ("expected_version",)

    recipient_email = EmailField(allow_null=True)
    cc_emails = _copies(allow_null=True)
    payment_due = PaymentDueInput(allow_null=True)
    collection = CollectionInput(allow_null=True)
    schedule_entries = ListOf(KeptScheduleEntryInput(), max_length=MOST_ENTRIES, code_many="INVOICE_SCHEDULE_INVALID")
    scheduled_send_at = CalendarField(allow_null=True)
    service_at = CalendarField(allow_null=True)
    memo = _text(allow_null=True)
    footer = _text(allow_null=True)
    po_number = _text(255, allow_null=True)
    reference = _text(255, allow_null=True)
    remit_to_address = AddressInput(allow_null=True)
    external_reference_id = ExternalReferenceField(allow_null=True)
    metadata = MetadataPatchField()
    reminders_paused = StrictBoolean()
    expected_version = StrictInteger(minimum=1, code="INVALID_EXPECTED_VERSION")


class IssueInvoiceInput(Input):
    """How the invoice reaches its buyer, and the version that the caller looked at."""

    delivery_mode = EnumField(
        ["merchant_default", "email", "caller_managed"], required=False, code="INVALID_DELIVERY_MODE"
    )
    expected_version = StrictInteger(minimum=1, required=False, code="INVALID_EXPECTED_VERSION")


class ManualPaymentInput(Input):
    """Money that came in outside Flint, or did not after all."""

    amount_money = MoneyField(min_amount=1)
    received_at = CalendarField(required=False)
    note = StrictString(min_length=0, max_length=NOTE_LENGTH, required=False, code_too_long="NOTE_TOO_LONG")
    external_reference_id = ExternalReferenceField(required=False)
    expected_version = StrictInteger(minimum=1, required=False, code="INVALID_EXPECTED_VERSION")
