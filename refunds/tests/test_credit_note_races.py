"""
Credit notes at once, on real PostgreSQL with real threads: no credit is used twice, and no document exceeds another.

Each of these fails when the order is not locked.
"""

from functools import partial
from typing import Any

import pytest

from flint.actors import Command
from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, eur, line
from invoices.documents.sources import sources_of
from invoices.models import CreditNote, Invoice
from invoices.services import credit_notes
from invoices.services.drafting import create_invoice
from invoices.services.issuing import issue_invoice
from invoices.services.manual import record_manual_payment
from orders.models import Order
from payments.processors.sandbox.accounts import allow_over_refund
from payments.tests.acts import at_once, ended
from refunds import services

ROUNDS = 12

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unprotected(environment):
    """Nobody but Flint watches over refunds, and no task runs by itself."""
    allow_over_refund(environment.id)
    with collecting():
        yield


def acting(environment, key: str):
    return actor_in(environment).with_command(Command(key=key, digest=key))


def invoiced(environment, *, is_paid: bool = False) -> Invoice:
    """Bill 100.00: four units at 25.00."""
    order = stories.open_order(environment, line(2_500, quantity=4))
    actor = actor_in(environment)
    invoice = create_invoice(data={"order_id": order.id}, actor=actor)
    issue_invoice(invoice_id=invoice.id, delivery_mode="caller_managed", actor=actor)
    if is_paid:
        stories.pay(order, invoice_id=invoice.id)
    return Invoice.objects.get(id=invoice.id)


def drafted(invoice: Invoice, quantity: int) -> CreditNote:
    (source,) = sources_of(invoice.snapshot)
    wanted = [{"invoice_line_item_id": source.id, "correction": {"type": "quantity", "quantity": quantity}}]
    data = {"invoice_id": invoice.id, "reason": "returned_goods", "credit_note_lines": wanted}
    return credit_notes.create_credit_note(data=data, actor=actor_in(invoice.environment))


def noted(invoice: Invoice, quantity: int) -> CreditNote:
    note = drafted(invoice, quantity)
    return credit_notes.issue_credit_note(note.id, actor=actor_in(invoice.environment))


def apply(note: CreditNote, minor: int, key: str) -> Any:
    return credit_notes.allocate(note.id, money=eur(minor), actor=acting(note.environment, key))


def give_back(note: CreditNote, key: str, **data: Any) -> Any:
    data = {"reason": "other", **data}
    return services.refund_credit_note(note.id, data=data, actor=acting(note.environment, key))


def test_two_allocations_that_only_fit_alone(environment):
    for _ in range(ROUNDS):
        note = noted(invoiced(environment), 4)

        kept = ended(
            at_once(partial(apply, note, 6_000, "a"), partial(apply, note, 6_000, "b")),
            "CREDIT_NOTE_ALLOCATION_EXCEEDS_BALANCE",
        )

        assert len(kept) == 1
        assert_books(note.order_id, credit=6_000, outstanding=4_000)


def test_two_notes_applied_to_one_balance(environment):
    for _ in range(ROUNDS):
        invoice = invoiced(environment)
        one, two = noted(invoice, 2), noted(invoice, 2)
        record_manual_payment(invoice_id=invoice.id, money=eur(4_000), actor=actor_in(environment))

        kept = ended(
            at_once(partial(apply, one, 5_000, "a"), partial(apply, two, 5_000, "b")),
            "CREDIT_NOTE_ALLOCATION_EXCEEDS_BALANCE",
        )

        assert len(kept) == 1
        assert_books(invoice.order_id, paid=4_000, credit=5_000, outstanding=1_000, processor=False)


def test_the_same_command_at_once_is_one_allocation(environment):
    for _ in range(ROUNDS):
        note = noted(invoiced(environment), 4)

        made = ended(at_once(*[partial(apply, note, 1_000, "same")] * 3))

        assert len({each.allocation.id for each in made}) == 1
        assert_books(note.order_id, credit=1_000)


def test_credit_applied_while_the_invoice_is_paid(environment):
    for _ in range(ROUNDS):
        invoice = invoiced(environment)
        note = noted(invoice, 4)
        order = Order.objects.get(id=invoice.order_id)

        ended(
            at_once(partial(apply, note, 10_000, "a"), partial(stories.pay, order, invoice_id=invoice.id)),
            "CREDIT_NOTE_ALLOCATION_EXCEEDS_BALANCE",
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            "ORDER_ALREADY_PAID",
            "INVOICE_NOT_COLLECTIBLE",
            "ORDER_HAS_NO_BALANCE",
            "INVOICE_BALANCE_CHANGED",
        )

        order.refresh_from_db()
        assert (order.credit_amount, order.paid_amount) in ((10_000, 0), (0, 10_000))
        assert_books(order, balance=0)


def test_issued_twice_it_has_one_number(environment):
    for _ in range(ROUNDS):
        note = drafted(invoiced(environment), 1)
        issue = partial(credit_notes.issue_credit_note, note.id, actor=actor_in(environment))

        assert len(ended(at_once(issue, issue), "CREDIT_NOTE_NOT_DRAFT")) == 1

    numbers = CreditNote.objects.order_by("sequence").values_list("sequence", flat=True)
    assert list(numbers) == list(range(1, ROUNDS + 1))


def test_two_notes_for_the_same_units(environment):
    for _ in range(ROUNDS):
        invoice = invoiced(environment)
        issues = [
            partial(credit_notes.issue_credit_note, drafted(invoice, 3).id, actor=actor_in(environment))
            for _ in range(2)
        ]

        kept = ended(at_once(*issues), "CREDIT_NOTE_AMOUNT_EXCEEDS_CREDITABLE")

        assert len(kept) == 1


def test_a_refund_by_the_note_beside_a_plain_one(environment):
    for _ in range(ROUNDS):
        invoice = invoiced(environment, is_paid=True)
        note = noted(invoice, 3)
        plain = partial(
            services.create_refund,
            data={"order_id": invoice.order_id, "amount_money": eur(6_000)},
            actor=actor_in(environment),
        )

        kept = ended(
            at_once(partial(give_back, note, "a"), plain),
            "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE",
            "AMOUNT_EXCEEDS_REFUNDABLE",
        )

        assert len(kept) == 1
        order = Order.objects.get(id=invoice.order_id)
        assert order.refund_pending_amount in (6_000, 7_500)
        assert_books(order, paid=10_000, processor=False)


def test_two_refunds_by_one_note_that_only_fit_alone(environment):
    for _ in range(ROUNDS):
        note = noted(invoiced(environment, is_paid=True), 2)
        thirty = {"amount_money": eur(3_000)}

        kept = ended(
            at_once(partial(give_back, note, "a", **thirty), partial(give_back, note, "b", **thirty)),
            "CREDIT_NOTE_REFUND_EXCEEDS_BALANCE",
        )

        assert len(kept) == 1
        assert_books(note.order_id, refund_pending=3_000, processor=False)


def test_the_same_command_at_once_is_one_refund(environment):
    for _ in range(ROUNDS):
        note = noted(invoiced(environment, is_paid=True), 2)

        made = ended(at_once(*[partial(give_back, note, "same")] * 3))

        assert len({each.refund.id for each in made}) == 1
        assert_books(note.order_id, refund_pending=5_000, processor=False)


def test_voided_while_it_is_used(environment):
    for _ in range(ROUNDS):
        note = noted(invoiced(environment), 4)
        void = partial(credit_notes.void_credit_note, note.id, actor=actor_in(environment))

        kept = ended(
            at_once(partial(apply, note, 1_000, "a"), void), "CREDIT_NOTE_HAS_ALLOCATIONS", "CREDIT_NOTE_NOT_ISSUED"
        )

        assert len(kept) == 1
        note.refresh_from_db()
        assert_books(note.order_id, credit=0 if note.status == "void" else 1_000)
