"""The invoice page's part for payments: what was tried, and a new link for its buyer."""

from collections.abc import Mapping
from typing import Any

from flint import actors
from flint.actors import Actor
from flint.admin import badge, words
from flint.merchants.staff import Right
from flint.money import Money
from invoices.admin.registry import InvoiceAction, InvoiceSection, Preview, invoice_actions, invoice_sections
from invoices.models import Invoice
from payments.services.invoices.attempts import failure_code_of, invoice_attempts, status_of
from payments.services.invoices.linking import regenerate_link

MOST = 50
TONES = {"settled": "succeeded", "failed": "failed", "processing": "processing", "open": "open"}


def _load(invoice: Invoice) -> dict[str, Any]:
    rows = invoice_attempts(invoice.id, actor=actors.system(invoice.environment_id)).order_by("-created_at", "-id")[
        :MOST
    ]
    return {
        "attempts": [
            {
                "id": row.id,
                "at": row.created_at,
                "money": Money(row.expected_outstanding_amount, invoice.currency),
                "badge": badge(TONES.get(status_of(row), "plain"), words(status_of(row))),
                "failure": words(failure_code_of(row)).lower() if failure_code_of(row) else "",
            }
            for row in rows
        ]
    }


invoice_sections.append(InvoiceSection(template="admin/payments/invoice_attempts.html", load=_load))


def _preview(invoice: Invoice) -> Preview:
    return Preview(
        "The buyer's link is replaced: the old one opens nothing any more, and nobody stays in a checkout that was "
        "opened by it. A payment that is under way goes on.",
        [("Invoice", str(invoice))],
    )


def _regenerate(invoice: Invoice, data: Mapping[str, Any], actor: Actor) -> str:
    regenerate_link(invoice_id=invoice.id, expected_version=data["expected_version"], actor=actor)
    return "The invoice has a new link. Send it again, so that its buyer has it."


invoice_actions.append(
    InvoiceAction(
        name="new_link",
        label="New link",
        right=Right.ISSUE_INVOICE,
        is_offered=lambda invoice: invoice.is_standing,
        preview=_preview,
        act=_regenerate,
    )
)
