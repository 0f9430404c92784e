"""Two at once on one invoice, on real PostgreSQL with real threads: always one effect, never a deadlock."""

from functools import partial

import pytest

from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, eur, line
from invoices.models import Invoice
from invoices.services.issuing import issue_invoice
from invoices.services.manual import record_manual_payment, reverse_manual_payment
from invoices.services.voiding import void_invoice
from invoices.services.writing_off import mark_uncollectible
from orders.models import ManualPayment
from orders.services import add_line_items
from payments.tests.acts import at_once, charged, ended

ROUNDS = 30

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tasks():
    """Nothing that is left to after a commit runs by itself, whichever thread leaves it."""
    with collecting() as collected:
        yield collected


def drafts(environment) -> list[Invoice]:
    return [stories.draft_invoice(stories.open_order(environment)) for _ in range(ROUNDS)]


def asking(environment) -> list[Invoice]:
    return [stories.issued_invoice(stories.open_order(environment)).invoice for _ in range(ROUNDS)]


def issuing(environment, invoice):
    return partial(issue_invoice, invoice_id=invoice.id, delivery_mode="caller_managed", actor=actor_in(environment))


def by_hand(environment, invoice, amount, verb=record_manual_payment):
    return partial(verb, invoice_id=invoice.id, money=eur(amount), actor=actor_in(environment))


def status_of(invoice) -> str:
    return Invoice.objects.get(id=invoice.id).status


def test_issue_twice(environment):
    for invoice in drafts(environment):
        kept = ended(at_once(issuing(environment, invoice), issuing(environment, invoice)), "INVOICE_NOT_DRAFT")

        assert len(kept) == 1
        order = assert_books(invoice.order_id, outstanding=10_000, is_under_invoice=True)
        assert order.events.filter(type="invoice.issued").count() == 1

    numbers = Invoice.objects.filter(environment=environment).order_by("sequence").values_list("sequence", flat=True)
    assert list(numbers) == list(range(1, ROUNDS + 1))


def test_d130_many_issued_at_once_count_on_from_each_other(environment):
    waiting = drafts(environment)

    ended(at_once(*(issuing(environment, invoice) for invoice in waiting)))

    numbers = Invoice.objects.filter(environment=environment).order_by("sequence").values_list("sequence", flat=True)
    assert list(numbers) == list(range(1, ROUNDS + 1))


def test_two_drafts_for_one_order(environment):
    for _ in range(ROUNDS):
        order = stories.open_order(environment)
        draft = partial(stories.draft_invoice, order)

        kept = ended(at_once(draft, draft), "ORDER_ALREADY_HAS_ACTIVE_INVOICE")

        assert len(kept) == 1
        assert order.invoices.count() == 1


def test_issue_while_paying_past_it(environment):
    for invoice in drafts(environment):
        order = invoice.order
        results = at_once(issuing(environment, invoice), partial(stories.pay, order))

        ended(
            results,
            "ORDER_ALREADY_PAID",
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            "ORDER_HAS_ACTIVE_PAYMENT_INTENT",
            "ORDER_COLLECTION_ALREADY_ACTIVE",
        )
        paid = sum(charged(order))
        assert (status_of(invoice), paid) in (("draft", 10_000), ("open", 0))
        assert_books(order, paid=paid, is_under_invoice=not paid)


def test_issue_while_editing(environment):
    actor = actor_in(environment)
    for invoice in drafts(environment):
        edit = partial(add_line_items, order_id=invoice.order_id, line_items=[line(500)], actor=actor)

        ended(at_once(issuing(environment, invoice), edit), "INVOICE_LOCKED_ORDER_FINANCIALS")

        issued = Invoice.objects.get(id=invoice.id)
        assert_books(invoice.order_id, total=issued.total_amount, outstanding=issued.total_amount)


def test_void_while_paying_it(environment):
    actor = actor_in(environment)
    for invoice in asking(environment):
        void = partial(void_invoice, invoice_id=invoice.id, actor=actor)
        pay = partial(stories.pay, invoice.order, invoice_id=invoice.id)

        ended(
            at_once(void, pay),
            "INVOICE_NOT_VOIDABLE",
            "INVOICE_PAYMENT_RESOLVING",
            "INVOICE_PAYMENT_PROCESSING",
            "INVOICE_NOT_COLLECTIBLE",
        )

        paid = sum(charged(invoice.order))
        assert (status_of(invoice), paid) in (("void", 0), ("paid", 10_000))
        assert_books(invoice.order_id, paid=paid, is_under_invoice=False)


def test_money_by_hand_while_paying(environment):
    for invoice in asking(environment):
        pay = partial(stories.pay, invoice.order, invoice_id=invoice.id)

        ended(
            at_once(by_hand(environment, invoice, 10_000), pay),
            "INVOICE_NOT_COLLECTIBLE",
            "INVOICE_PAYMENT_RESOLVING",
            "INVOICE_PAYMENT_PROCESSING",
            "ORDER_ALREADY_PAID",
        )

        assert status_of(invoice) == "paid"
        assert_books(invoice.order_id, paid=10_000, balance=0)


def test_d136_money_by_hand_twice(environment):
    for invoice in asking(environment):
        once = by_hand(environment, invoice, 10_000)

        kept = ended(at_once(once, once), "INVOICE_NOT_COLLECTIBLE")

        assert len(kept) == 1
        assert ManualPayment.objects.filter(order_id=invoice.order_id).count() == 1
        assert_books(invoice.order_id, paid=10_000, balance=0)


def test_taken_back_twice(environment):
    for invoice in asking(environment):
        by_hand(environment, invoice, 10_000)()
        back = by_hand(environment, invoice, 10_000, verb=reverse_manual_payment)

        kept = ended(at_once(back, back), "INVOICE_NOT_REVERSIBLE")

        assert len(kept) == 1
        assert_books(invoice.order_id, paid=0, outstanding=10_000, is_under_invoice=True)


def test_given_up_while_money_comes_in_by_hand(environment):
    actor = actor_in(environment)
    for invoice in asking(environment):
        give_up = partial(mark_uncollectible, invoice_id=invoice.id, actor=actor)

        ended(
            at_once(give_up, by_hand(environment, invoice, 4_000)),
            "INVOICE_NOT_COLLECTIBLE",
        )

        order = assert_books(invoice.order_id, balance=0, is_under_invoice=False)
        assert order.paid_amount + order.credit_amount == 10_000
