"""The routes of invoices. Each verb calls one service and answers with the invoice read afresh."""

from dataclasses import replace

from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.views import ApiView
from flint.events.models import Event
from invoices import reading
from invoices.api.activities import InvoiceActivityOutput, attach_addresses
from invoices.api.inputs import (
    CreateInvoiceInput,
    ExpectedVersionInput,
    IssueInvoiceInput,
    ManualPaymentInput,
    UpdateInvoiceInput,
)
from invoices.api.outputs import InvoiceDeliveryOutput, InvoiceOutput, IssuedOutput
from invoices.api.queries import DeliveryQuery, InvoiceActivityQuery, InvoiceQuery, ReadInvoiceQuery
from invoices.models import Invoice
from invoices.services import drafting, issuing, manual, voiding, writing_off
from orders import selectors as orders

CHOSEN = [
    "INVALID_INVOICE_PAYMENT_TERM",
    "INVOICE_PAYMENT_TERM_UNAVAILABLE",
    "CUSTOMER_PAYMENT_TERM_UNAVAILABLE",
    "INVOICE_PAYMENT_TERM_CURRENCY_MISMATCH",
    "INVOICE_AUTOPAY_PAYMENT_METHOD_REQUIRED",
    "PAYMENT_SOURCE_OWNERSHIP_MISMATCH",
    "PAYMENT_METHOD_NOT_READY",
    "PAYMENT_METHOD_UNAVAILABLE",
    "PAYMENT_METHOD_ON_SESSION_ONLY",
    "PROCESSOR_NOT_CONFIGURED",
    "INVOICE_SCHEDULE_INVALID",
    "SCHEDULED_SEND_IN_PAST",
    "CURRENCY_MISMATCH",
]
VERSIONED = ["INVOICE_NOT_FOUND", "INVOICE_DRAFT_CHANGED", "VERSION_CONFLICT"]
UNDER_WAY = ["INVOICE_PAYMENT_RESOLVING", "INVOICE_PAYMENT_PROCESSING"]
SOLD = ["AUTOMATIC_TAX_CONNECTION_REQUIRED", "NO_DISCOUNTABLE_BALANCE", "AMOUNT_TOO_LARGE", "INVALID_TIP_AMOUNT"]


class InvoiceRoute(ApiView):
    """A route under invoices: read with one scope, changed with the other."""

    tag = "Invoices"
    scopes = {
        "GET": "commerce.invoices.read",
        "POST": "commerce.invoices.write",
        "PATCH": "commerce.invoices.write",
    }

    def shown(self, invoice_id: str) -> Invoice:
        """Return an invoice as it is now, with its order whole if that is to be shown."""
        invoice = reading.read_invoice(invoice_id, actor=self.request.actor)
        if "order" in self._query.expand:
            siblings = invoice.order._prefetched_objects_cache
            invoice.order = orders.read_order_behind(invoice.order_id, actor=self.request.actor)
            invoice.order._prefetched_objects_cache |= siblings
        return invoice

    def reply_invoice(self, invoice_id: str):
        """Answer with an invoice as it is now."""
        return self.reply(self.shown(invoice_id))


class InvoiceCollection(InvoiceRoute):
    inputs = {"POST": CreateInvoiceInput}
    queries = {"GET": InvoiceQuery}
    outputs = {"GET": [InvoiceOutput], "POST": InvoiceOutput}
    statuses = {"POST": 201}
    codes = {
        "POST": [
            *CHOSEN,
            *SOLD,
            "ORDER_NOT_FOUND",
            "RESOURCE_NOT_FOUND",
            "ORDER_NOT_OPEN",
            "ORDER_ALREADY_PAID",
            "ORDER_ALREADY_HAS_ACTIVE_INVOICE",
            "ORDER_ALREADY_BILLED",
        ]
    }
    names = {"GET": "list_invoices", "POST": "create_invoice"}

    def get(self, request):
        """
        List invoices.

        ``query`` matches a number, id, reference or recipient as a whole, and parts of the customer's name and email.
        ``has_amount_due`` picks those that ask for money, ``is_overdue`` those for which something is late.
        """
        page = paginate(reading.readable(request.actor), self.query(InvoiceQuery))
        reading.at_one_moment(page.items)
        return self.reply_page(page)

    @idempotent
    def post(self, request):
        """
        Prepare an invoice for an order, or for what quick_pay sells.

        A draft bills nothing yet: its order stays open to changes, and what is billed is what it comes to at issue.
        """
        invoice = drafting.create_invoice(data=self.validated(CreateInvoiceInput), actor=request.actor)
        return self.reply_invoice(invoice.id)


class InvoiceView(InvoiceRoute):
    inputs = {"PATCH": UpdateInvoiceInput}
    queries = {"GET": ReadInvoiceQuery}
    outputs = {"GET": InvoiceOutput, "PATCH": InvoiceOutput}
    codes = {
        "GET": ["INVOICE_NOT_FOUND"],
        "PATCH": [
            *VERSIONED,
            *CHOSEN,
            "INVOICE_NOT_DRAFT",
            "INVOICE_NOT_COLLECTIBLE",
            "INVALID_INVOICE",
            "EXPECTED_VERSION_REQUIRED",
        ],
    }
    names = {"GET": "get_invoice", "PATCH": "update_invoice"}

    def get(self, request, invoice_id):
        """Read an invoice."""
        return self.reply_invoice(invoice_id)

    @idempotent
    def patch(self, request, invoice_id):
        """
        Change a draft. What is left out stays; null clears; a schedule is replaced as a whole.

        Once the invoice was issued, only ``reminders_paused`` changes, named alone.
        """
        drafting.update_invoice(invoice_id=invoice_id, data=self.validated(UpdateInvoiceInput), actor=request.actor)
        return self.reply_invoice(invoice_id)


class InvoiceIssue(InvoiceRoute):
    inputs = {"POST": IssueInvoiceInput}
    outputs = {"POST": IssuedOutput}
    codes = {
        "POST": [
            *VERSIONED,
            *CHOSEN,
            "INVOICE_NOT_DRAFT",
            "ORDER_ALREADY_HAS_ACTIVE_INVOICE",
            "ORDER_ALREADY_BILLED",
            "ORDER_NOT_OPEN",
            "ORDER_ALREADY_PAID",
            "ORDER_NOT_PAYABLE",
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            "ORDER_HAS_OPEN_CHECKOUT",
            "ORDER_HAS_ACTIVE_PAYMENT_INTENT",
            "RECIPIENT_EMAIL_REQUIRED",
        ]
    }
    names = {"POST": "issue_invoice"}

    @idempotent
    def post(self, request, invoice_id):
        """
        Issue a draft: it gets the next number, is frozen as it is, and alone collects its order from now on.

        It is emailed unless the caller or the merchant delivers it.
        """
        data = self.validated(IssueInvoiceInput)
        issued = issuing.issue_invoice(
            invoice_id=invoice_id,
            delivery_mode=data.get("delivery_mode"),
            expected_version=data.get("expected_version"),
            actor=request.actor,
        )
        return self.reply(IssuedOutput(replace(issued, invoice=self.shown(invoice_id))))


class InvoiceVoid(InvoiceRoute):
    inputs = {"POST": ExpectedVersionInput}
    outputs = {"POST": InvoiceOutput}
    codes = {"POST": [*VERSIONED, *UNDER_WAY, "INVOICE_NOT_VOIDABLE", "INVOICE_HAS_ISSUED_CREDIT_NOTE"]}
    names = {"POST": "void_invoice"}

    @idempotent
    def post(self, request, invoice_id):
        """
        Take back a draft, or an invoice for which nothing came in since its issue.

        It keeps its number. Its order is free to be changed and to be collected another way.
        """
        data = self.validated(ExpectedVersionInput)
        voiding.void_invoice(invoice_id=invoice_id, actor=request.actor, **data)
        return self.reply_invoice(invoice_id)


class InvoiceWriteOff(InvoiceRoute):
    inputs = {"POST": ExpectedVersionInput}
    outputs = {"POST": InvoiceOutput}
    codes = {"POST": [*VERSIONED, *UNDER_WAY, "INVOICE_NOT_MARKABLE_UNCOLLECTIBLE"]}
    names = {"POST": "mark_invoice_uncollectible"}

    @idempotent
    def post(self, request, invoice_id):
        """Write off what is left of an invoice: nobody asks for it any more, and it was not paid."""
        data = self.validated(ExpectedVersionInput)
        writing_off.mark_uncollectible(invoice_id=invoice_id, actor=request.actor, **data)
        return self.reply_invoice(invoice_id)


class ManualRoute(InvoiceRoute):
    """What is recorded by hand."""

    inputs = {"POST": ManualPaymentInput}
    outputs = {"POST": InvoiceOutput}

    def values(self) -> dict:
        """Return the request as the services take it."""
        data = self.validated(ManualPaymentInput)
        return {"money": data.pop("amount_money"), **data}


class ManualPayments(ManualRoute):
    codes = {
        "POST": [
            *VERSIONED,
            *UNDER_WAY,
            "INVOICE_NOT_ISSUED",
            "INVOICE_NOT_COLLECTIBLE",
            "AMOUNT_EXCEEDS_BALANCE",
            "CURRENCY_MISMATCH",
        ]
    }
    names = {"POST": "record_invoice_manual_payment"}

    @idempotent
    def post(self, request, invoice_id):
        """
        Record money that came in outside Flint: in cash, by bank transfer.

        It counts as paid at once. A checkout that is merely open is no obstacle, and ends.
        """
        manual.record_manual_payment(invoice_id=invoice_id, actor=request.actor, **self.values())
        return self.reply_invoice(invoice_id)


class ManualReversals(ManualRoute):
    codes = {
        "POST": [
            *VERSIONED,
            *UNDER_WAY,
            "INVOICE_NOT_ISSUED",
            "INVOICE_NOT_REVERSIBLE",
            "REVERSAL_EXCEEDS_MANUAL_PAYMENTS",
            "CURRENCY_MISMATCH",
        ]
    }
    names = {"POST": "reverse_invoice_manual_payment"}

    @idempotent
    def post(self, request, invoice_id):
        """Take back a part, or all, of what was recorded by hand; the invoice asks for that again."""
        manual.reverse_manual_payment(invoice_id=invoice_id, actor=request.actor, **self.values())
        return self.reply_invoice(invoice_id)


class InvoiceActivities(InvoiceRoute):
    queries = {"GET": InvoiceActivityQuery}
    outputs = {"GET": [InvoiceActivityOutput]}
    codes = {"GET": ["INVOICE_NOT_FOUND"]}
    names = {"GET": "list_invoice_activities"}

    def get(self, request, invoice_id):
        """List what happened to an invoice, newest first."""
        invoice = Invoice.objects.of(request.actor).find(id=invoice_id)
        told = Event.objects.filter(order_id=invoice.order_id, subject_type="invoice", subject_id=invoice.id)
        page = paginate(told, self.query(InvoiceActivityQuery))
        attach_addresses(page.items)
        return self.reply_page(page)


class InvoiceDeliveries(InvoiceRoute):
    queries = {"GET": DeliveryQuery}
    outputs = {"GET": [InvoiceDeliveryOutput]}
    codes = {"GET": ["INVOICE_NOT_FOUND"]}
    names = {"GET": "list_invoice_delivery_attempts"}

    def get(self, request, invoice_id):
        """List the emails of an invoice and its reminders, newest first."""
        invoice = Invoice.objects.of(request.actor).find(id=invoice_id)
        return self.reply_page(paginate(invoice.deliveries.all(), self.query(DeliveryQuery)))
