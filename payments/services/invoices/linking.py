"""Giving an invoice another link: the old one, and whatever it let anybody into, opens nothing from then on."""

import secrets

from django.db import transaction

from flint.actors import Actor
from flint.sealing import Secret
from invoices.links import new_link
from invoices.models import Invoice
from invoices.services.locking import lock_invoice, refuse_draft, remember, save_counts
from payments.models import CheckoutCredential
from payments.services.sessions.ending import open_session_of


def regenerate_link(*, invoice_id: str, expected_version: int | None = None, actor: Actor) -> Invoice:
    """
    Replace the link of an issued invoice. Its sessions stay as they are, but nobody is in them any more.

    A payment that is under way goes on: what becomes of it is learned from the processor.

    :raises InvoiceNotFound: if it is absent or foreign. :raises InvoiceNotIssued: if it has no link yet.
    :raises InvoiceVersionConflict: if another version was expected.
    """
    with transaction.atomic():
        order, invoice = lock_invoice(invoice_id, actor=actor, expected_version=expected_version)
        refuse_draft(invoice)
        new_link(invoice)
        CheckoutCredential.objects.filter(session__invoice_id=invoice.id).delete()
        session = open_session_of(order)
        if session is not None and session.invoice_id == invoice.id:
            session.launch_secret = Secret.of(secrets.token_urlsafe(24))
            session.save(update_fields=["launch_secret", "updated_at"])
        remember(order, invoice, "invoice.link_regenerated", actor=actor)
        invoice.save()
        save_counts(order)
    return invoice
