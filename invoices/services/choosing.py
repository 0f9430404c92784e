"""What a caller chose of an invoice, taken over and resolved: when it is due, how it is collected, in which parts."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flint.api import wire
from flint.errors import Conflict, InvalidInput
from flint.merchants.models import Environment
from flint.merchants.settings.reading import section_of
from flint.money import Money
from invoices import schedules
from invoices.due import due_at_of
from invoices.models import Invoice, InvoicePaymentTerm, InvoiceScheduleEntry
from invoices.models.terms import TermStatus
from orders.models import Customer, Order

Chosen = Mapping[str, Any]

TEXTS = ("recipient_email", "memo", "footer", "po_number", "reference", "external_reference_id")
VALUES = ("service_at", "scheduled_send_at", "remit_to_address")


class InvalidInvoicePaymentTerm(InvalidInput):
    code = "INVALID_INVOICE_PAYMENT_TERM"
    message = "There is no such payment term in this environment."


class InvoicePaymentTermUnavailable(Conflict):
    code = "INVOICE_PAYMENT_TERM_UNAVAILABLE"
    message = "The payment term is archived, or none is the merchant's default. Name an active one."


class CustomerPaymentTermUnavailable(Conflict):
    code = "CUSTOMER_PAYMENT_TERM_UNAVAILABLE"
    message = "The order's customer has no payment term of its own. Name one, or take the merchant's default."


class InvoicePaymentTermCurrencyMismatch(InvalidInput):
    code = "INVOICE_PAYMENT_TERM_CURRENCY_MISMATCH"
    message = "The term's late fee is in another currency than the order."


class InvoiceAutopayPaymentMethodRequired(Conflict):
    code = "INVOICE_AUTOPAY_PAYMENT_METHOD_REQUIRED"
    message = "Automatic collection charges a saved payment method, and the customer has none to charge."


class ScheduledSendInPast(InvalidInput):
    code = "SCHEDULED_SEND_IN_PAST"
    message = "An invoice is issued by itself at a time that is yet to come."


_method_checks: list[Callable[[Order, str], None]] = []


def checks_method(check: Callable[[Order, str], None]) -> Callable[[Order, str], None]:
    """Register what refuses a payment method, by its id, that could not be charged for an order without its buyer."""
    _method_checks.append(check)
    return check


def settings_of(environment_id: str) -> dict[str, Any]:
    """Return what the merchant chose for all invoices."""
    return section_of(environment_id, "invoices")


def timezone_of(environment_id: str, settings: Chosen) -> str:
    """Return the time zone in which days of new invoices begin and end."""
    if settings["timezone"]:
        return settings["timezone"]
    zones = Environment.objects.filter(id=environment_id).order_by("id")
    return zones.values_list("merchant__reporting_timezone", flat=True)[0]


def take_over(invoice: Invoice, data: Chosen) -> None:
    """Set on a draft what a validated request names; null clears."""
    for name in TEXTS:
        if name in data:
            setattr(invoice, name, data[name] or "")
    for name in VALUES:
        if name in data:
            setattr(invoice, name, data[name])
    if "cc_emails" in data:
        invoice.cc_emails = list(dict.fromkeys(data["cc_emails"] or []))
    if "payment_due" in data:
        invoice.payment_due = as_kept(data["payment_due"] or {})
    if "collection" in data:
        chosen = data["collection"] or {"mode": "merchant_default"}
        invoice.collection_choice = chosen["mode"]
        invoice.payment_method_id = chosen.get("payment_method_id", "")
        invoice.payment_policy = chosen.get("payment_policy")


def refuse_past_send(invoice: Invoice, data: Chosen, *, at: datetime) -> None:
    """:raises ScheduledSendInPast: if a request names a time to issue that is over."""
    if data.get("scheduled_send_at") is not None and data["scheduled_send_at"] <= at:
        raise ScheduledSendInPast(param="scheduled_send_at")


def resolve(invoice: Invoice, order: Order, settings: Chosen, *, issued_at: datetime | None = None) -> None:
    """
    Work out what a draft's choices come to now: its time zone, due date, term and way of collection. Saves nothing.

    :param issued_at: when it is being issued, from which terms count; a draft's due date by terms is not known yet.
    :raises InvalidInvoicePaymentTerm, InvoicePaymentTermUnavailable, CustomerPaymentTermUnavailable,
        InvoicePaymentTermCurrencyMismatch: if it can be due by no such term.
    :raises InvoiceAutopayPaymentMethodRequired: at issue, if it is to be collected by itself and cannot be.
    """
    invoice.timezone = timezone_of(invoice.environment_id, settings)
    invoice.customer_id = order.customer_id
    _resolve_due(invoice, order, settings, issued_at)
    _resolve_collection(invoice, order, settings, is_final=issued_at is not None)


def _resolve_due(invoice: Invoice, order: Order, settings: Chosen, issued_at: datetime | None) -> None:
    due = invoice.payment_due
    invoice.payment_term = _term_of(due, order, settings)
    if due.get("type") == "absolute":
        invoice.due_at = datetime.fromisoformat(due["due_at"])
    elif invoice.payment_term is None or issued_at is None:
        invoice.due_at = None
    else:
        invoice.due_at = due_at_of(invoice.payment_term.calculation, issued_at, invoice.timezone)


def _term_of(due: Chosen, order: Order, settings: Chosen) -> InvoicePaymentTerm | None:
    """Return the payment term that a choice leads to. Without a choice it is the customer's, else the merchant's."""
    kind = due.get("type", "")
    if kind in ("none", "absolute"):
        return None
    of_customer = _customer_term_id(order)
    of_merchant = settings["default_invoice_payment_term_id"] or ""
    match kind:
        case "payment_terms":
            term_id = due["invoice_payment_term_id"]
        case "customer_default":
            term_id = of_customer
            if not term_id:
                raise CustomerPaymentTermUnavailable(param="payment_due.type")
        case "merchant_default":
            term_id = of_merchant
            if not term_id:
                raise InvoicePaymentTermUnavailable(param="payment_due.type")
        case _:
            term_id = of_customer or of_merchant
            if not term_id:
                return None
    try:
        term = InvoicePaymentTerm.objects.get(environment_id=order.environment_id, id=term_id)
    except InvoicePaymentTerm.DoesNotExist:
        raise InvalidInvoicePaymentTerm(param="payment_due.invoice_payment_term_id") from None
    if term.status == TermStatus.ARCHIVED:
        raise InvoicePaymentTermUnavailable(param="payment_due")
    fee = (term.late_fee_policy or {}).get("amount_money")
    if fee is not None and fee["currency"] != order.currency:
        raise InvoicePaymentTermCurrencyMismatch(param="payment_due")
    return term


def _customer_term_id(order: Order) -> str:
    if not order.customer_id:
        return ""
    return Customer.objects.values_list("default_invoice_payment_term_id", flat=True).get(id=order.customer_id)


def _resolve_collection(invoice: Invoice, order: Order, settings: Chosen, *, is_final: bool) -> None:
    chosen = invoice.collection_choice
    is_default = chosen == "merchant_default"
    invoice.collection_mode = settings["default_collection_mode"] if is_default else chosen
    if invoice.collection_mode != "automatic":
        return
    method_id = invoice.payment_method_id or _default_method_id(order)
    if method_id:
        for check in _method_checks:
            check(order, method_id)
    elif is_final:
        raise InvoiceAutopayPaymentMethodRequired(param="collection")
    if is_final:
        invoice.payment_method_id = method_id


def _default_method_id(order: Order) -> str:
    if not order.customer_id:
        return ""
    found = Customer.objects.filter(id=order.customer_id).order_by("id")
    return found.values_list("default_payment_method_id", flat=True).first() or ""


# Schedules


def replace_entries(invoice: Invoice, wanted: list[Chosen]) -> list[InvoiceScheduleEntry]:
    """
    Give a draft the schedule of a request, in place of the one it has, and return it. Entries named by id stay.

    :raises InvoiceScheduleInvalid: if an id is none of the draft's, or comes twice, or it can be no schedule.
    """
    had = {entry.id: entry for entry in InvoiceScheduleEntry.objects.filter(invoice_id=invoice.id)}
    entries = []
    for index, item in enumerate(wanted):
        kept = as_kept(item)
        entry = InvoiceScheduleEntry(environment_id=invoice.environment_id, invoice=invoice)
        if (entry_id := kept.get("invoice_schedule_entry_id")) is not None:
            if entry_id not in had:
                raise schedules.InvoiceScheduleInvalid(
                    "Only entries of this draft can be kept, each once.",
                    param=f"schedule_entries[{index}].invoice_schedule_entry_id",
                )
            entry = had.pop(entry_id)
        entry.position, entry.kind = index, kept["kind"]
        entry.amount_specification, entry.due = kept["amount_specification"], kept["due"]
        entries.append(entry)
    schedules.check_shape([schedules.planned_of(item) for item in map(planned_row, entries)])
    for gone in had.values():
        gone.delete()
    for entry in entries:
        entry.save()
    return entries


def planned_row(entry: InvoiceScheduleEntry) -> dict[str, Any]:
    """Return what of an entry a schedule is worked out from."""
    return {"kind": entry.kind, "amount_specification": entry.amount_specification, "due": entry.due}


def plan(
    invoice: Invoice, entries: list[InvoiceScheduleEntry], total: int, *, issued_at: datetime | None = None
) -> None:
    """
    Set on the parts of an invoice what each comes to of a total, and when it is due. Saves nothing.

    :raises InvoiceScheduleInvalid: if they do not fit together, or not this total.
    :raises CurrencyMismatch: if a fixed part is in another currency.
    """
    if not entries:
        return
    for entry in entries:
        fixed = entry.amount_specification.get("amount_money")
        if fixed is not None and fixed["currency"] != invoice.currency:
            raise schedules.InvoiceScheduleInvalid(
                "Every part is in the order's currency.",
                code="CURRENCY_MISMATCH",
                param=f"schedule_entries[{entry.position}].amount_specification.amount_money",
            )
    parts = schedules.resolve(
        [schedules.planned_of(planned_row(entry)) for entry in entries],
        total,
        issued_at=issued_at,
        due_at=invoice.due_at,
        timezone=invoice.timezone,
    )
    for entry, part in zip(entries, parts, strict=True):
        entry.total_amount, entry.due_at = part.amount, part.due_at


def as_kept(value: Any) -> Any:
    """Return a validated value in the form that JSON can hold: money and moments as the contract writes them."""
    if isinstance(value, Money):
        return wire.wire_money(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: as_kept(each) for name, each in value.items()}
    return [as_kept(each) for each in value] if isinstance(value, list) else value
