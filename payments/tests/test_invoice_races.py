"""Two at once around one invoice, on real PostgreSQL with real threads: one effect, never a 5xx."""

from functools import partial

import pytest
from django.utils import timezone

from flint.actors import Command
from flint.celery import collecting
from flint.testing import stories
from flint.testing.books import assert_books
from flint.testing.stories import actor_in, eur
from invoices.models import Invoice
from invoices.services.autopay import collect_due
from invoices.services.manual import record_manual_payment
from invoices.services.voiding import void_invoice
from invoices.services.writing_off import mark_uncollectible
from orders.models import Order
from orders.services import create_customer
from payments import services
from payments.models import CheckoutSession
from payments.services.invoices.charging import collect_invoice
from payments.services.invoices.launching import open_checkout
from payments.services.invoices.linking import regenerate_link
from payments.services.invoices.viewing import note_viewed
from payments.services.sessions.credentials import authenticate_buyer
from payments.tests.acts import at_once, attempts_of, charged, ended, kinds_of, later

ROUNDS = 12
CARD = {"action": "pay", "payment_source": {"token": "pm_card_visa"}}
UNDER_WAY = ("INVOICE_PAYMENT_RESOLVING", "INVOICE_NOT_COLLECTIBLE")
NOT_IN = ("CHECKOUT_SESSION_NOT_OPEN", "ORDER_PAYMENT_ATTEMPT_ACTIVE", "ORDER_ALREADY_PAID")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tasks():
    """Nothing that is left to after a commit runs by itself, whichever thread leaves it."""
    with collecting() as collected:
        yield collected


@pytest.fixture
def card(environment):
    ann = create_customer(data={"email": "ann@buyer.example"}, actor=actor_in(environment))
    return stories.saved_card(ann)


def billed(environment, times: int = ROUNDS, card=None, **data) -> list[tuple[Order, Invoice]]:
    """Orders of 100.00 with an invoice each."""
    customer = {"customer_id": card.customer_id} if card else {}
    orders = [stories.open_order(environment, **customer) for _ in range(times)]
    return [(order, stories.issued_invoice(order, **data).invoice) for order in orders]


def paying(order: Order, invoice: Invoice):
    """What a buyer does who has the invoice's checkout open."""
    opened = open_checkout(invoice_id=invoice.id, data={}, actor=actor_in(order.environment))
    buyer, _ = authenticate_buyer(opened.session.id, opened.checkout_auth_token, timezone.now())
    return partial(services.pay, order_id=order.id, data=CARD, actor=buyer)


def charging(invoice: Invoice, card, key: str = "k1"):
    """What a merchant does who charges a saved card."""
    actor = actor_in(invoice.environment).with_command(Command(key=key, digest="d"))
    return partial(collect_invoice, invoice_id=invoice.id, data={"payment_method_id": card.id}, actor=actor)


def standing(order: Order) -> list[str]:
    return list(Invoice.objects.filter(order_id=order.id).values_list("status", flat=True))


def test_sixteen_open_the_checkout_at_once_and_there_is_one(environment):
    for order, invoice in billed(environment, times=4):
        opening = partial(open_checkout, invoice_id=invoice.id, data={}, actor=actor_in(environment))

        opened = ended(at_once(*[opening] * 16))

        assert len(opened) == 16
        assert len({each.session.id for each in opened}) == 1
        assert [each.is_reused for each in opened].count(False) == 1
        assert list(CheckoutSession.objects.filter(order=order).values_list("status", flat=True)) == ["open"]


def test_d001_the_buyer_pays_while_the_merchant_collects(environment, card):
    for order, invoice in billed(environment, card=card):
        results = at_once(paying(order, invoice), charging(invoice, card))

        ended(results, *UNDER_WAY, *NOT_IN)
        assert charged(order) == [10_000]
        assert standing(order) == ["paid"]
        assert_books(order, paid=10_000, outstanding=0, active_attempt_id="")


def test_d001_collected_twice_with_one_key_and_with_two(environment, card):
    for order, invoice in billed(environment, card=card):
        same = charging(invoice, card)

        ended(at_once(same, same, charging(invoice, card, key="k2")), *UNDER_WAY)

        assert charged(order) == [10_000]
        assert attempts_of(order) == ["succeeded"]
        assert_books(order, paid=10_000, outstanding=0)


def test_voided_while_it_is_paid(environment):
    for order, invoice in billed(environment):
        void = partial(void_invoice, invoice_id=invoice.id, actor=actor_in(environment))

        ended(at_once(paying(order, invoice), void), *UNDER_WAY, *NOT_IN, "INVOICE_NOT_VOIDABLE")

        assert (standing(order), charged(order)) in ((["void"], []), (["paid"], [10_000]))
        assert_books(order, paid=sum(charged(order)), active_attempt_id="")


def test_written_off_while_it_is_paid(environment):
    for order, invoice in billed(environment):
        give_up = partial(mark_uncollectible, invoice_id=invoice.id, actor=actor_in(environment))

        results = at_once(paying(order, invoice), give_up)

        ended(results, *UNDER_WAY, *NOT_IN, "INVOICE_NOT_MARKABLE_UNCOLLECTIBLE")
        assert (standing(order), charged(order)) in ((["uncollectible"], []), (["paid"], [10_000]))
        assert_books(order, outstanding=0, balance=0, active_attempt_id="")


def test_d136_paid_by_hand_while_it_is_paid_by_card(environment):
    for order, invoice in billed(environment):
        by_hand = partial(record_manual_payment, invoice_id=invoice.id, money=eur(10_000), actor=actor_in(environment))

        ended(at_once(paying(order, invoice), by_hand), *UNDER_WAY, *NOT_IN)

        assert charged(order) in ([], [10_000])
        assert_books(order, paid=10_000, outstanding=0, balance=0, active_attempt_id="")
        assert standing(order) == ["paid"]


def test_two_beats_collect_what_is_due_once(environment, card):
    chosen = {"mode": "automatic", "payment_method_id": card.id}
    for order, invoice in billed(environment, card=card, collection=chosen):
        beat = partial(collect_due, invoice.id, number=0, at=later())

        outcomes = ended(at_once(beat, beat, beat))

        assert "paid" in outcomes and set(outcomes) <= {"paid", "pending", "refused"}
        assert charged(order) == [10_000]
        assert attempts_of(order) == ["succeeded"]
        assert_books(order, paid=10_000, outstanding=0)


def test_the_checkout_is_opened_while_the_link_is_replaced(environment):
    for order, invoice in billed(environment):
        opening = partial(open_checkout, invoice_id=invoice.id, data={}, actor=actor_in(environment))
        replace = partial(regenerate_link, invoice_id=invoice.id, actor=actor_in(environment))

        opened, replaced = ended(at_once(opening, replace))

        session = CheckoutSession.objects.get(order=order)
        is_in = session.credentials.exists()
        assert is_in == (session.invoice_link_generation == replaced.link_generation)
        assert opened.session.id == session.id


def test_it_is_seen_by_many_for_the_first_time(environment):
    for order, invoice in billed(environment, times=4):
        look = partial(note_viewed, invoice, actor=actor_in(environment))
        ended(at_once(*[look] * 8))
        assert kinds_of(order).count("invoice.viewed") == 1
