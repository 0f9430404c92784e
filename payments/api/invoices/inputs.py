"""What requests to pay an invoice say."""

from flint.api.fields import EnumField, IdField, StrictInteger, StrictString, UrlField
from flint.api.queries import ListQuery, Query
from flint.api.serializers import Input
from payments.api.inputs import MAX_URL
from payments.api.sessions.inputs import RedirectsInput
from payments.models.sessions import Surface


class InvoiceCheckoutInput(Input):
    """Where the invoice is paid, which part of it, and where the buyer goes from there."""

    body_optional = True

    surface = EnumField(Surface.values, required=False, code="INVALID_CHECKOUT_SURFACE")
    invoice_schedule_entry_id = IdField("ise", required=False)
    return_url = StrictString(max_length=MAX_URL, required=False, code="INVALID_RETURN_URL")
    redirects = RedirectsInput(required=False)
    page_origin = UrlField(required=False)


class CollectInput(Input):
    """What to charge, and for which part; the invoice's own method and what is due if nothing is named."""

    payment_method_id = IdField("pm", required=False)
    invoice_schedule_entry_id = IdField("ise", required=False)


class RegenerateLinkInput(Input):
    """The version that the caller looked at."""

    body_optional = True

    expected_version = StrictInteger(minimum=1, required=False, code="INVALID_EXPECTED_VERSION")


class InvoiceAttemptQuery(ListQuery):
    """Which payments of the invoice to list."""

    idempotency_key = StrictString(max_length=255, required=False, lookup="command_key")


class ReadBuyerInvoiceQuery(Query):
    """Nothing to choose."""
