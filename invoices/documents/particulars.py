"""
What a snapshot freezes for its document, under ``document``: who asks whom, what for, and how it looks.

Amounts are minor units of the document's currency. Nothing of it is read from anywhere else later: neither the PDF nor
a credit note looks at the live order, customer or settings again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flint.merchants.models import Merchant
from invoices.documents.logos import keep_logo
from orders.models import Charge, LineItem, Order, TaxBreakdown
from orders.services.pricing import Parts

Particulars = dict[str, Any]

GOODS, CHARGE, TIP, TAX, DIFFERENCE = "goods", "charge", "tip", "tax", "difference"
"""What a source can be: a line, a charge, the tip, a flat tax of the order, or changes to what was billed before."""


def particulars_of(
    order: Order,
    parts: Parts,
    *,
    settings: Mapping[str, Mapping[str, Any]],
    issued_at: datetime,
    timezone: str,
    language: str,
    due_at: datetime | None = None,
    term_name: str = "",
    recipient_email: str = "",
    remit_to_address: Mapping[str, Any] | None = None,
    po_number: str = "",
    has_tip: bool = True,
    difference: int = 0,
    paid_before: int = 0,
    credited_before: int = 0,
    schedule: Sequence[Mapping[str, Any]] = (),
) -> Particulars:
    """
    Return what the document of an invoice says, from a locked order and the parts of it that it bills.

    :param settings: every section of the environment's settings, as ``effective_of`` returns them.
    :param language: the buyer's, with a region if it is known, such as ``de_AT``; empty for English.
    :param has_tip: whether it bills the order's tip too.
    :param difference: what it bills of changes to parts that earlier invoices bill.
    :param schedule: the parts it is paid in: ``kind``, ``due_at`` (text or None) and ``amount``.
    """
    sources = [_line(line, parts) for line in parts.lines]
    sources += [_charge(charge, parts) for charge in parts.charges]
    sources += [_flat_tax(tax) for tax in parts.flat_taxes]
    if has_tip and order.tip_amount:
        sources.append(_plain(order.tip_id or "tip", TIP, order.tip_name, order.tip_amount))
    if difference:
        sources.append(_plain("difference", DIFFERENCE, "", difference))
    branding, merchant = settings["branding"], order.environment.merchant
    return {
        "language": language or "en",
        "timezone": timezone,
        "currency": order.currency,
        "page_size": settings["invoices"]["page_size"],
        "primary_color": branding["primary_color"],
        "accent_color": branding["accent_color"],
        "logo": keep_logo(order.environment_id, branding.get("logo")),
        "factur_x": settings["invoices"]["factur_x"],
        "order_number": "" if order.is_hidden else order.order_number,
        "issued_at": issued_at.isoformat(),
        "due_at": due_at.isoformat() if due_at else None,
        "term_name": term_name,
        "po_number": po_number,
        "seller": _seller(merchant, settings["tax_identity"]),
        "buyer": _buyer(order, recipient_email),
        "remit_to": dict(remit_to_address) if remit_to_address else None,
        "sources": sources,
        "taxes": _taxes(parts.taxes),
        "total": sum(source["total"] for source in sources),
        "paid_before": paid_before,
        "credited_before": credited_before,
        "schedule": [dict(entry) for entry in schedule],
    }


def _line(line: LineItem, parts: Parts) -> dict[str, Any]:
    return {
        "id": line.id,
        "kind": GOODS,
        "name": line.name,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": line.unit_price_amount,
        "subtotal": line.subtotal_amount,
        "discount": line.discount_amount,
        "tax": line.tax_amount,
        "inclusive_tax": line.inclusive_tax_amount,
        "total": line.total_amount,
        "percents": _percents(parts.taxes_of(line)),
    }


def _charge(charge: Charge, parts: Parts) -> dict[str, Any]:
    return {
        "id": charge.id,
        "kind": CHARGE,
        "name": charge.name,
        "description": charge.description,
        "quantity": None,
        "unit_price": None,
        "subtotal": charge.applied_amount,
        "discount": charge.discount_amount,
        "tax": charge.tax_amount,
        "inclusive_tax": charge.inclusive_tax_amount,
        "total": charge.total_amount,
        "percents": _percents(parts.taxes_of(charge)),
    }


def _flat_tax(tax: TaxBreakdown) -> dict[str, Any]:
    name = tax.jurisdiction.get("name", "") or tax.tax_type
    return {**_plain(tax.id, TAX, name, tax.tax_amount), "subtotal": 0, "tax": tax.tax_amount}


def _plain(source_id: str, kind: str, name: str, amount: int) -> dict[str, Any]:
    return {
        "id": source_id,
        "kind": kind,
        "name": name,
        "description": "",
        "quantity": None,
        "unit_price": None,
        "subtotal": amount,
        "discount": 0,
        "tax": 0,
        "inclusive_tax": 0,
        "total": amount,
        "percents": [],
    }


def _percents(taxes: Iterable[TaxBreakdown]) -> list[int]:
    return [tax.percent for tax in taxes if tax.percent is not None]


def _taxes(taxes: Iterable[TaxBreakdown]) -> list[dict[str, Any]]:
    """Sum the taxes up by name, rate and whether they are in the price."""
    found: dict[tuple, dict[str, Any]] = {}
    for tax in taxes:
        name = tax.jurisdiction.get("name", "")
        key = (tax.tax_type, name, tax.percent, tax.price_mode)
        row = found.setdefault(
            key,
            {
                "type": tax.tax_type,
                "name": name,
                "percent": tax.percent,
                "is_inclusive": tax.price_mode == "inclusive",
                "taxable": 0,
                "tax": 0,
            },
        )
        row["taxable"] += tax.taxable_amount
        row["tax"] += tax.tax_amount
    return list(found.values())


def _seller(merchant: Merchant, identity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": str(merchant),
        "legal_name": identity["legal_name"] or "",
        "address": identity["registered_address"] or merchant.address,
        "tax_ids": list(identity["tax_ids"]),
        "email": merchant.support_email or merchant.email,
        "phone": merchant.support_phone or merchant.phone,
        "website": merchant.website_url,
    }


def _buyer(order: Order, recipient_email: str) -> dict[str, Any]:
    customer = order.customer
    email = recipient_email or (customer.email if customer else order.contact_email)
    identity = (getattr(customer, "tax_identity", None) or {}) if customer else {}
    return {
        "name": (customer.name or customer.email) if customer else email,
        "legal_name": identity.get("legal_name", ""),
        "address": identity.get("registered_address") or (customer.billing_address if customer else None),
        "tax_ids": list(identity.get("tax_ids", [])),
        "email": email,
    }
