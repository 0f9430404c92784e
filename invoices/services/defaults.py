"""A payment term as the default of a merchant or of a customer: one that an invoice could take."""

from flint.actors import Actor
from invoices.models import InvoicePaymentTerm
from invoices.models.terms import TermStatus
from invoices.services.choosing import InvalidInvoicePaymentTerm, InvoicePaymentTermUnavailable
from orders.services.customers import term_checks


def refuse_unusable(term_id: str, actor: Actor, param: str = "default_invoice_payment_term_id") -> None:
    """
    Refuse a payment term that no invoice could take. A usable one stays locked, so that nobody archives it meanwhile.

    :raises InvalidInvoicePaymentTerm: if absent or foreign. :raises InvoicePaymentTermUnavailable: if archived.
    """
    terms = InvoicePaymentTerm.objects.of(actor).select_for_update(of=("self",))
    term = terms.filter(id=term_id).order_by("id").first()
    if term is None:
        raise InvalidInvoicePaymentTerm(param=param)
    if term.status != TermStatus.ACTIVE:
        raise InvoicePaymentTermUnavailable(param=param)


term_checks.append(refuse_unusable)
