"""What a merchant chooses once for all of its invoices."""

from collections.abc import Mapping
from typing import Any

from flint.actors import Actor
from flint.api.addresses import AddressInput
from flint.api.fields import (
    EmailField,
    EnumField,
    IdField,
    ListOf,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimezoneField,
)
from flint.api.serializers import Input
from flint.merchants.settings import Section, SectionInput, declare
from flint.merchants.staff import Right
from invoices.models import InvoicePaymentTerm
from invoices.models.invoices import CollectionMode
from invoices.models.terms import TermStatus
from invoices.services.defaults import refuse_unusable

MEMO_LENGTH = 4096
NUMBER_PREFIX = {"min_length": 0, "max_length": 12, "pattern": "[A-Za-z0-9_-]*"}
PAYMENT_OPTIONS = ("card", "apple_pay", "google_pay", "affirm", "ach_debit")
PAGE_SIZES = ("a4", "letter")


class PaymentPolicyInput(Input):
    """How invoices may be paid on their page."""

    reserved = {"payment_option_limits", "show_cost_comparison"}

    enabled_payment_options = ListOf(
        EnumField(PAYMENT_OPTIONS, code="INVALID_INVOICE_PAYMENT_POLICY"),
        min_length=1,
        max_length=5,
        code="INVALID_INVOICE_PAYMENT_POLICY",
        code_required="INVOICE_PAYMENT_OPTIONS_REQUIRED",
        code_few="INVOICE_PAYMENT_OPTIONS_REQUIRED",
        label="Payment options",
        help_text="Every one that the processor offers, if none is chosen.",
    )
    refusals = ("INVALID_INVOICE_PAYMENT_POLICY",)

    def validate(self, attrs):
        options = attrs["enabled_payment_options"]
        if len(set(options)) < len(options):
            self.refuse("INVALID_INVOICE_PAYMENT_POLICY", "Name each option once.", "enabled_payment_options")
        return attrs


class ReminderRuleInput(Input):
    """When a reminder is sent: days after the due date, or before it if negative."""

    days_from_due = StrictInteger(minimum=-90, maximum=365, code="INVALID_INVOICE_REMINDER_OFFSET")


class ReminderPolicyInput(Input):
    """Which reminders are sent for what is still owed."""

    rules = ListOf(
        ReminderRuleInput(),
        max_length=20,
        code_many="INVOICE_REMINDER_RULE_LIMIT_EXCEEDED",
        label="Reminders",
        help_text="Days from the due date, such as -3, 1, 14.",
    )
    refusals = ("DUPLICATE_INVOICE_REMINDER_OFFSET",)

    def validate(self, attrs):
        days = [rule["days_from_due"] for rule in attrs["rules"]]
        if len(set(days)) < len(days):
            self.refuse("DUPLICATE_INVOICE_REMINDER_OFFSET", "One reminder is sent on a day.", "rules")
        return attrs


class AutopayRetryPolicyInput(Input):
    """On which days after a failed automatic payment it is tried again."""

    retry_day_offsets = ListOf(
        StrictInteger(minimum=1, maximum=90, code="INVALID_INVOICE_AUTOPAY_RETRY_OFFSETS"),
        max_length=5,
        code="INVALID_INVOICE_AUTOPAY_RETRY_OFFSETS",
        code_many="INVOICE_AUTOPAY_RETRY_LIMIT_EXCEEDED",
        label="Tries",
        help_text="Days after the first one, such as 1, 3, 7.",
    )
    refusals = ("INVALID_INVOICE_AUTOPAY_RETRY_OFFSETS",)

    def validate(self, attrs):
        days = attrs["retry_day_offsets"]
        if any(later <= earlier for earlier, later in zip(days, days[1:], strict=False)):
            self.refuse("INVALID_INVOICE_AUTOPAY_RETRY_OFFSETS", "Each day is after the last.", "retry_day_offsets")
        return attrs


class InvoiceSettingsInput(SectionInput):
    """Invoices and credit notes."""

    refusals = ("INVALID_INVOICE_PAYMENT_TERM", "INVOICE_PAYMENT_TERM_UNAVAILABLE")

    invoice_number_prefix = StrictString(
        **NUMBER_PREFIX, label="Invoice numbers begin with", help_text="Up to 12 letters, digits, - and _."
    )
    credit_note_number_prefix = StrictString(
        **NUMBER_PREFIX, label="Credit note numbers begin with", help_text="Up to 12 letters, digits, - and _."
    )
    default_collection_mode = EnumField(CollectionMode.values, label="Collection")
    default_invoice_payment_term_id = IdField("ipt", code="INVALID_INVOICE_PAYMENT_TERM", label="Payment term")
    default_memo = StrictString(max_length=MEMO_LENGTH, label="Memo", help_text="Printed on every new invoice.")
    default_footer = StrictString(max_length=MEMO_LENGTH, label="Footer", help_text="At the end of every new invoice.")
    payment_policy = PaymentPolicyInput(label="How they may be paid")
    reminder_policy = ReminderPolicyInput(label="Reminders")
    autopay_retry_policy = AutopayRetryPolicyInput(label="When an automatic payment fails")
    remit_to_address = AddressInput(label="Remit to")
    reply_to_email = EmailField(code="INVALID_INVOICE_REPLY_TO_EMAIL", label="Replies go to")
    timezone = TimezoneField(
        code="INVALID_INVOICE_TIMEZONE", label="Time zone", help_text="Days begin and end in it. Else the merchant's."
    )
    page_size = EnumField(PAGE_SIZES, label="Paper")
    factur_x = StrictBoolean(label="Put a machine-readable invoice (Factur-X) into every PDF")


def check_term(invoices: Mapping[str, Any], actor: Actor) -> None:
    """:raises FlintError: if the payment term is none that an invoice could take."""
    if term_id := invoices["default_invoice_payment_term_id"]:
        refuse_unusable(term_id, actor, "invoices.default_invoice_payment_term_id")


def terms_in(environment_id: str) -> list[tuple[str, str]]:
    """Return the payment terms that can be chosen."""
    terms = InvoicePaymentTerm.objects.filter(environment_id=environment_id, status=TermStatus.ACTIVE)
    return list(terms.order_by("name", "id").values_list("id", "name"))


declare(
    Section(
        "invoices",
        "Invoices",
        InvoiceSettingsInput,
        defaults={
            "invoice_number_prefix": "INV-",
            "credit_note_number_prefix": "CN-",
            "default_collection_mode": "buyer_initiated",
            "reminder_policy": {"rules": []},
            "autopay_retry_policy": {"retry_day_offsets": []},
            "page_size": "a4",
            "factur_x": False,
        },
        explanation="How invoices and credit notes are numbered, worded, collected and reminded of.",
        choices={"default_invoice_payment_term_id": terms_in},
        check=check_term,
        right=Right.CHOOSE_INVOICE_SETTINGS,
    )
)
