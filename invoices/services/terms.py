"""Keeping payment terms. What an issued invoice was agreed on is its own; nothing here reaches it."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from flint.actors import Actor
from flint.errors import Conflict
from flint.events import services as events
from invoices.models import InvoicePaymentTerm
from invoices.models.terms import TermStatus
from invoices.services.choosing import InvoicePaymentTermUnavailable, as_kept, settings_of
from orders.models import Customer


class InvoicePaymentTermChanged(Conflict):
    code = "INVOICE_PAYMENT_TERM_CHANGED"
    message = "The payment term has changed since you read it. Read it again and decide anew."


class InvoicePaymentTermInUse(Conflict):
    code = "INVOICE_PAYMENT_TERM_IN_USE"
    message = "The payment term is a default of the merchant or of a customer. Choose another default first."


def create_term(*, data: Mapping[str, Any], actor: Actor) -> InvoicePaymentTerm:
    """Make a payment term, active at once. ``data`` is a validated request of the contract."""
    with transaction.atomic():
        term = InvoicePaymentTerm(environment_id=actor.environment_id)
        _take_over(term, data)
        term.save(force_insert=True)
        _tell(term, "invoice_payment_term.created", actor)
    return term


def update_term(*, term_id: str, data: Mapping[str, Any], actor: Actor) -> InvoicePaymentTerm:
    """
    Change what ``data`` names of an active term.

    :raises InvoicePaymentTermNotFound: if it is absent or foreign. :raises InvoicePaymentTermUnavailable: if archived.
    :raises InvoicePaymentTermChanged: if another version was expected.
    """
    with transaction.atomic():
        term = _lock(term_id, data.get("expected_version"), actor)
        if term.status == TermStatus.ARCHIVED:
            raise InvoicePaymentTermUnavailable(current_status=str(term.status))
        _take_over(term, data)
        term.version += 1
        term.save()
        _tell(term, "invoice_payment_term.updated", actor)
    return term


def archive_term(*, term_id: str, expected_version: int | None = None, actor: Actor) -> InvoicePaymentTerm:
    """
    Take a term out of use; once is enough.

    :raises InvoicePaymentTermInUse: if it is somebody's default. Otherwise as :func:`update_term`.
    """
    with transaction.atomic():
        term = _lock(term_id, expected_version, actor)
        if term.status == TermStatus.ARCHIVED:
            return term
        if _is_default(term):
            raise InvoicePaymentTermInUse()
        term.status = TermStatus.ARCHIVED
        term.version += 1
        term.save()
        _tell(term, "invoice_payment_term.archived", actor)
    return term


def _lock(term_id: str, expected_version: int | None, actor: Actor) -> InvoicePaymentTerm:
    term = InvoicePaymentTerm.objects.of(actor).lock(id=term_id)
    if expected_version is not None and expected_version != term.version:
        raise InvoicePaymentTermChanged(param="expected_version", current_version=term.version)
    return term


def _take_over(term: InvoicePaymentTerm, data: Mapping[str, Any]) -> None:
    for name in ("name", "calculation", "late_fee_policy"):
        if name in data:
            setattr(term, name, as_kept(data[name]))
    if "external_reference_id" in data:
        term.external_reference_id = data["external_reference_id"] or ""


def _is_default(term: InvoicePaymentTerm) -> bool:
    if settings_of(term.environment_id)["default_invoice_payment_term_id"] == term.id:
        return True
    return Customer.objects.filter(environment_id=term.environment_id, default_invoice_payment_term_id=term.id).exists()


def _tell(term: InvoicePaymentTerm, type: str, actor: Actor) -> None:
    events.record_apart(term.environment_id, type, subject=term, actor=actor, version=term.version, name=term.name)
