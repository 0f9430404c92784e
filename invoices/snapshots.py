"""
Freezing an invoice: all that it says, as of its issue, in the contract's words and in plain JSON.

What the document needs beyond the contract stands under ``document``. Nothing here is read again from live rows: the
PDF of an issued invoice is made from this alone, so it never changes.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from flint.api import wire
from flint.merchants.models import Environment
from flint.merchants.settings.reading import effective_of
from invoices.documents.logos import freeze_branding
from invoices.models import Invoice, InvoiceScheduleEntry
from orders.models import Charge, Discount, LineItem, Order, TaxBreakdown
from orders.services import pricing

CHANGES = "Changes to earlier items"
"""The line of a later invoice for what became of lines that an earlier one billed."""

PRICED = {
    "subtotal_money": "subtotal_amount",
    "discount_money": "discount_amount",
    "charge_money": "charge_amount",
    "tax_money": "tax_amount",
    "requested_tip_money": "tip_amount",
    "total_money": "total_amount",
}


def freeze(
    invoice: Invoice, order: Order, *, earlier: Sequence[Invoice], entries: Sequence[InvoiceScheduleEntry] = ()
) -> dict[str, Any]:
    """
    Return what an invoice says that is about to be issued; its dates and total are set on it already. Its number is
    not: that is taken last, and put into the ``document`` then.

    :param earlier: the invoices of the order that stand, with their late fees: what they bill is left out here.
    """
    parts = pricing.load(order)
    billed = _billed_ids(earlier)
    lines = [line for line in parts.lines if line.id not in billed]
    charges = [charge for charge in parts.charges if charge.id not in billed]
    flat_taxes = [tax for tax in parts.flat_taxes if tax.id not in billed]
    priced = _pricing(order, earlier)
    shown_lines = [_line(line, order) for line in lines]
    rest = priced["total_money"] - sum(part.total_amount for part in [*lines, *charges, *flat_taxes])
    rest -= priced["requested_tip_money"]
    if rest:
        shown_lines.append(_changes(invoice, order, rest))
    environment = Environment.objects.select_related("merchant").get(id=invoice.environment_id)
    settings = effective_of(invoice.environment_id)
    money = order.money
    taxes = [tax for part in [*lines, *charges] for tax in parts.taxes_of(part)] + flat_taxes
    discounts = [] if earlier else [discount for discount in parts.discounts if discount.applied_amount]
    snapshot = {
        "pricing_amounts": {name: wire.wire_money(money(amount)) for name, amount in priced.items()},
        "line_items": shown_lines,
        "charges": [_charge(charge, order) for charge in charges],
        "discounts": [_discount(discount, order) for discount in discounts],
        "requested_tip": _tip(order) if priced["requested_tip_money"] else None,
        **_buyer(invoice, order),
        "merchant_display_name": str(environment.merchant),
        "seller_tax_identity": _identity(settings["tax_identity"]),
        "buyer_note": order.buyer_note,
        "internal_note": order.internal_note,
        "memo": invoice.memo,
        "footer": invoice.footer,
        "reference": invoice.reference,
        "service_at": _moment(invoice.service_at),
        "document": {
            "currency": invoice.currency,
            "issued_at": _moment(invoice.issued_at),
            "due_at": _moment(invoice.due_at),
            "timezone": invoice.timezone,
            "language": invoice.language,
            "page_size": settings["invoices"]["page_size"],
            "factur_x": settings["invoices"]["factur_x"],
            "po_number": invoice.po_number,
            "order_number": order.order_number,
            "recipient_email": invoice.recipient_email,
            "payment_terms": invoice.terms_snapshot["name"] if invoice.terms_snapshot else "",
            "remit_to_address": invoice.remit_to_address,
            "issuer": _issuer(environment, settings),
            "branding": freeze_branding(invoice.environment_id, settings["branding"]),
            "taxes": [_tax(tax, order) for tax in taxes],
            "inclusive_tax_money": wire.wire_money(
                money(sum(part.inclusive_tax_amount for part in [*lines, *charges]))
            ),
            "earlier_invoice_numbers": [each.number for each in earlier],
            "paid_before_money": wire.wire_money(money(invoice.paid_before_amount)),
            "due_money": wire.wire_money(order.outstanding_money),
            "schedule": [_entry(entry, order) for entry in entries],
        },
    }
    return {name: value for name, value in snapshot.items() if value not in ("", None)}


def line_id_of(order_line_item_id: str) -> str:
    """Return the id that a line of an order has on its invoice."""
    return f"ili_{order_line_item_id.removeprefix('oli_')}"


def _billed_ids(earlier: Iterable[Invoice]) -> set[str]:
    """Return the ids of what the order's earlier invoices bill: lines, charges and flat taxes, late fees too."""
    billed = set()
    for invoice in earlier:
        shown = invoice.snapshot or {}
        billed |= {line.get("order_line_item_id", "") for line in shown.get("line_items", [])}
        billed |= {charge["order_charge_id"] for charge in shown.get("charges", [])}
        billed |= {tax["tax_breakdown_id"] for tax in shown.get("document", {}).get("taxes", [])}
        billed |= {fee.charge_id for fee in invoice.late_fees.all()}
    return billed


def _pricing(order: Order, earlier: Sequence[Invoice]) -> dict[str, int]:
    """Return the order's amounts less those of earlier invoices; the late fees of those are charges of the order."""
    priced = {name: getattr(order, column) for name, column in PRICED.items()}
    for invoice in earlier:
        for name in PRICED:
            priced[name] -= invoice.snapshot["pricing_amounts"][name]["amount"]
        fees = sum(fee.amount - fee.waived_amount for fee in invoice.late_fees.all())
        priced["charge_money"] -= fees
        priced["total_money"] -= fees
    return priced


def _line(line: LineItem, order: Order) -> dict[str, Any]:
    shown = {
        "invoice_line_item_id": line_id_of(line.id),
        "order_line_item_id": line.id,
        "name": line.name,
        "quantity": line.quantity,
        **_money_of(
            order,
            unit_price_money=line.unit_price_amount,
            base_subtotal_money=line.base_subtotal_amount,
            modifier_total_money=line.modifier_total_amount,
            subtotal_money=line.subtotal_amount,
            discount_money=line.discount_amount,
            tax_money=line.tax_amount,
            total_money=line.total_amount,
        ),
    }
    return {**shown, "description": line.description} if line.description else shown


def _changes(invoice: Invoice, order: Order, amount: int) -> dict[str, Any]:
    return {
        "invoice_line_item_id": f"ili_{invoice.id.removeprefix('inv_')}",
        "name": CHANGES,
        "quantity": 1,
        **_money_of(
            order,
            unit_price_money=amount,
            base_subtotal_money=amount,
            modifier_total_money=0,
            subtotal_money=amount,
            discount_money=0,
            tax_money=0,
            total_money=amount,
        ),
    }


def _charge(charge: Charge, order: Order) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "order_charge_id": charge.id,
        "name": charge.name,
        "type": charge.type,
        "description": charge.description,
        "percent": charge.percent,
        "calculation_basis": charge.calculation_basis,
        "amount_money": None if charge.fixed_amount is None else wire.wire_money(order.money(charge.fixed_amount)),
    }
    amounts = _money_of(
        order,
        applied_money=charge.applied_amount,
        discount_money=charge.discount_amount,
        tax_money=charge.tax_amount,
        total_money=charge.total_amount,
    )
    return {name: value for name, value in shown.items() if value not in ("", None)} | amounts


def _discount(discount: Discount, order: Order) -> dict[str, Any]:
    return {
        "source": "manual",
        "discount_class": discount.discount_class,
        "customer_facing_name": discount.name,
        **_money_of(order, amount_money=discount.amount, applied_money=discount.applied_amount),
    }


def _tip(order: Order) -> dict[str, Any]:
    shown = {
        "name": order.tip_name,
        "description": order.tip_description,
        "percent": order.tip_percent,
        "amount_money": wire.wire_money(order.money(order.tip_amount)),
    }
    return {name: value for name, value in shown.items() if value not in ("", None)}


def _tax(tax: TaxBreakdown, order: Order) -> dict[str, Any]:
    return {
        "tax_breakdown_id": tax.id,
        "name": tax.jurisdiction.get("name", ""),
        "country": tax.jurisdiction.get("country", ""),
        "tax_type": tax.tax_type,
        "price_mode": tax.price_mode,
        "percent": tax.percent,
        "order_line_item_id": tax.line_item_id,
        "order_charge_id": tax.charge_id,
        **_money_of(order, taxable_money=tax.taxable_amount, tax_money=tax.tax_amount),
    }


def _entry(entry: InvoiceScheduleEntry, order: Order) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "due_at": _moment(entry.due_at),
        "total_money": wire.wire_money(order.money(entry.total_amount)),
    }


def _buyer(invoice: Invoice, order: Order) -> dict[str, Any]:
    customer = order.customer
    if customer is None:
        return {"customer_email": invoice.recipient_email or order.contact_email}
    return {
        "customer_display_name": customer.name or customer.email,
        "customer_email": customer.email,
        "billing_address": customer.billing_address,
        "buyer_tax_identity": _identity(customer.tax_identity),
    }


def _identity(identity: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a tax identity without what is not known of it, or nothing if nothing is."""
    known = {name: value for name, value in (identity or {}).items() if value not in (None, "", [])}
    return {"tax_ids": [], **known} if known else None


def _issuer(environment: Environment, settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    merchant, identity = environment.merchant, settings["tax_identity"]
    return {
        "name": str(merchant),
        "legal_name": identity["legal_name"] or "",
        "address": identity["registered_address"] or merchant.address,
        "email": merchant.support_email or merchant.email,
        "phone": merchant.support_phone or merchant.phone,
        "website": merchant.website_url,
        "is_test": not environment.is_live,
    }


def _money_of(order: Order, **amounts: int) -> dict[str, Any]:
    return {name: wire.wire_money(order.money(amount)) for name, amount in amounts.items()}


def _moment(at: Any) -> str | None:
    return None if at is None else wire.timestamp(at)
