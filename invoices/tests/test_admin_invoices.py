"""Invoices in the admin: what staff see, and what each button does."""

import pytest
from django.urls import reverse
from django.utils import timezone

from flint.celery import collecting
from flint.merchants.models import Role
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.staff import page, signed_in
from flint.testing.stories import eur
from invoices.models import Invoice, InvoicePaymentTerm
from invoices.services.manual import record_manual_payment
from orders.models import Customer
from orders.tests.sales import nothing_moves


@pytest.fixture
def finance(merchant):
    return signed_in(merchant, Role.FINANCE)


@pytest.fixture
def invoice(environment) -> Invoice:
    return stories.issued_invoice(stories.open_order(environment)).invoice


def shown(browser, invoice) -> str:
    return page(browser.get(reverse("admin:invoices_invoice_change", args=[invoice.id])))


def at(invoice, act: str) -> str:
    return reverse(f"admin:invoices_invoice_{act}", args=[invoice.id])


def do(browser, invoice, act: str, **typed):
    """Open an act's form, as one would, and send it."""
    assert page(browser.get(at(invoice, act)))
    version = typed.pop("version", Invoice.objects.get(id=invoice.id).version)
    return browser.post(at(invoice, act), {"version": version, **typed})


def test_the_page_tells_all_there_is(finance, environment):
    customer = Customer.objects.create(environment=environment, email="ada@buyer.example", name="Ada Lovelace")
    order = stories.open_order(environment, stories.line(2_500, quantity=4, name="Espresso"), customer_id=customer.id)
    invoice = stories.issued_invoice(order, po_number="PO-7").invoice
    record_manual_payment(invoice_id=invoice.id, money=eur(4_000), actor=stories.actor_in(environment))

    text = shown(finance, invoice)

    for told in ("INV-000001", "Partially paid", "Ada Lovelace", "Espresso", "€60.00", "PO-7", "Payment recorded by"):
        assert told in text, told
    assert invoice.order.order_number in text
    for act in ("record_payment", "reverse_payment", "write_off", "void", "new_link", "remind"):
        assert at(invoice, act) in text, act
    assert at(invoice, "issue") not in text


def test_the_list_says_what_is_late(finance, environment):
    past = {"type": "absolute", "due_at": timezone.now() - timezone.timedelta(days=3)}
    late = stories.issued_invoice(stories.open_order(environment, total=7_700), payment_due=past).invoice
    fine = stories.issued_invoice(stories.open_order(environment, total=1_234)).invoice

    everything = page(finance.get(reverse("admin:invoices_invoice_changelist")))
    overdue = page(finance.get(reverse("admin:invoices_invoice_changelist"), {"work": "overdue"}))

    assert late.number in everything and fine.number in everything
    assert "Overdue" in overdue and late.number in overdue and fine.number not in overdue
    assert "€77.00" in overdue
    assert "invoices are overdue" in page(finance.get(reverse("admin:index")))


@pytest.mark.parametrize("query", ["INV-000001", "ada@buyer", "lovelace", "PO-9"])
def test_an_invoice_is_found(finance, environment, query):
    customer = Customer.objects.create(environment=environment, email="ada@buyer.example", name="Ada Lovelace")
    found = stories.issued_invoice(stories.open_order(environment, customer_id=customer.id), po_number="PO-9").invoice
    other = stories.issued_invoice(stories.open_order(environment)).invoice

    text = page(finance.get(reverse("admin:invoices_invoice_changelist"), {"q": query}))

    assert found.number in text and other.number not in text


def test_a_draft_is_made_on_the_order_and_issued(finance, environment):
    order = stories.open_order(environment)
    url = reverse("admin:orders_order_invoice", args=[order.id])
    assert url in page(finance.get(reverse("admin:orders_order_change", args=[order.id])))

    assert finance.post(url).status_code == 302
    draft = Invoice.objects.get(order=order)
    preview = page(finance.get(at(draft, "issue")))
    assert "€100.00" in preview and draft.status == "draft"
    assert do(finance, draft, "issue", delivery_mode="caller_managed").status_code == 302

    assert_books(order, is_under_invoice=True, outstanding=10_000)
    issued = Invoice.objects.get(order=order)
    assert issued.number == "INV-000001"
    event = order.events.get(type="invoice.issued")
    assert (event.actor_kind, event.actor_label) == ("staff", finance.user.get_full_name() or finance.user.username)
    assert "INV-000001" in page(finance.get(reverse("admin:orders_order_change", args=[order.id])))


def test_money_is_recorded_and_taken_back(finance, invoice):
    assert do(finance, invoice, "record_payment", amount="40.00", note="Cash").status_code == 302
    assert_books(invoice.order_id, paid=4_000, outstanding=6_000)

    assert do(finance, invoice, "reverse_payment", amount="15.50", note="").status_code == 302
    assert_books(invoice.order_id, paid=2_450, outstanding=7_550)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"amount": "100.01"}, "more than what is outstanding"),
        ({"amount": "0"}, "above zero"),
        ({"amount": "a lot"}, "Write the amount like"),
        ({"amount": ""}, "required"),
        ({"amount": "1.00", "received_on": "2999-01-01"}, "yet to come"),
        ({"amount": "1.00", "version": 1}, "changed since"),
        ({"amount": "1.00", "version": "x"}, "changed since"),
    ],
)
def test_what_is_typed_wrong_comes_back_on_the_form(finance, invoice, typed, told):
    with nothing_moves():
        response = do(finance, invoice, "record_payment", **typed)

    assert response.status_code == 400
    assert told in response.content.decode()


def test_an_invoice_is_voided(finance, invoice):
    assert do(finance, invoice, "void").status_code == 302
    assert Invoice.objects.get(id=invoice.id).status == "void"
    assert_books(invoice.order_id, is_under_invoice=False)


def test_an_invoice_is_written_off(finance, invoice):
    assert do(finance, invoice, "write_off").status_code == 302
    assert Invoice.objects.get(id=invoice.id).status == "uncollectible"
    assert_books(invoice.order_id, credit=10_000, outstanding=0)


def test_an_invoice_gets_a_new_link(finance, invoice):
    digest = invoice.link_digest
    assert do(finance, invoice, "new_link").status_code == 302
    assert Invoice.objects.get(id=invoice.id).link_digest != digest


def test_support_sends_but_does_not_issue(merchant, environment):
    support = signed_in(merchant, Role.SUPPORT)
    order = stories.open_order(environment)
    invoice = stories.issued_invoice(order, delivery_mode="email", recipient_email="ada@buyer.example").invoice

    text = shown(support, invoice)

    assert at(invoice, "send") in text and at(invoice, "void") not in text
    assert support.post(at(invoice, "void"), {"version": invoice.version}).status_code == 403
    with collecting():
        assert do(support, invoice, "send").status_code == 302
        assert do(support, invoice, "remind").status_code == 302
    assert list(invoice.deliveries.order_by("created_at").values_list("delivery_type", flat=True)) == [
        "send",
        "send",
        "reminder",
    ]
    assert "ada@buyer.example" in shown(support, invoice)


def test_an_invoice_that_others_deliver_is_not_sent(finance, invoice):
    assert at(invoice, "send") not in shown(finance, invoice)
    with nothing_moves():
        response = do(finance, invoice, "send")
    assert response.status_code == 400
    assert "delivers this invoice itself" in response.content.decode()


def test_acts_are_for_posting_and_change_nothing_when_looked_at(finance, invoice):
    with nothing_moves():
        for act in ("void", "write_off", "record_payment", "new_link", "remind"):
            assert finance.get(at(invoice, act)).status_code == 200
            assert finance.put(at(invoice, act)).status_code == 405
    assert finance.post(reverse("admin:invoices_invoice_change", args=[invoice.id])).status_code == 405


def test_a_payment_term_is_made_and_archived(finance, environment):
    typed = {"name": "Net 30", "type": "net_days", "number": "30"}
    new = reverse("admin:invoices_invoicepaymentterm_new", args=[environment.id])
    assert new in page(finance.get(reverse("admin:invoices_invoicepaymentterm_changelist")))
    assert page(finance.get(new))

    assert finance.post(new, typed).status_code == 302
    term = InvoicePaymentTerm.objects.get()
    assert term.calculation == {"type": "net_days", "days": 30}
    here = reverse("admin:invoices_invoicepaymentterm_change", args=[term.id])
    assert "30 days after issue" in page(finance.get(here))
    assert finance.post(reverse("admin:invoices_invoicepaymentterm_archive", args=[term.id])).status_code == 302
    term.refresh_from_db()
    assert term.status == "archived"


@pytest.mark.parametrize(
    "typed", [{"name": ""}, {"number": ""}, {"type": "day_of_month", "number": "32"}, {"type": "someday"}]
)
def test_a_payment_term_that_makes_no_sense_is_not_made(finance, environment, typed):
    sent = {"name": "Net 30", "type": "net_days", "number": "30", **typed}

    assert (
        finance.post(reverse("admin:invoices_invoicepaymentterm_new", args=[environment.id]), sent).status_code == 400
    )
    assert not InvoicePaymentTerm.objects.exists()


def test_the_page_of_an_invoice_takes_a_fixed_number_of_statements(
    finance, environment, invoice, django_assert_max_num_queries
):
    for _ in range(6):
        record_manual_payment(invoice_id=invoice.id, money=eur(100), actor=stories.actor_in(environment))

    with django_assert_max_num_queries(16):
        shown(finance, invoice)
