"""Stories: an order walked through the real services, so that its ledger is true. All amounts in minor units."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.test import TestCase
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.celery import collecting
from flint.merchants.models import Environment
from flint.merchants.settings.changing import update_settings
from flint.money import Money
from flint.testing import processors
from flint.testing.processors import network_of
from invoices.models import CreditNote, Invoice, InvoicePaymentTerm
from invoices.services import credit_notes
from invoices.services.drafting import create_invoice
from invoices.services.issuing import Issued, issue_invoice
from invoices.services.terms import create_term
from orders.models import Customer, Order
from orders.services import create_order
from payments import inbound
from payments import services as payments
from payments.models import PaymentLink, PaymentMethod
from payments.services.links.changing import create_link
from payments.services.pay import Paid
from payments.services.sessions.launching import Launched, create_session
from refunds import services as refunds
from refunds.models import Refund
from refunds.services import disputes

NOT_RUN = ("payments.processors.sandbox.tasks",)
"""Tasks of the sandbox reach out over HTTP; tests deliver its notices themselves."""


def actor_in(environment: Environment) -> Actor:
    """Return somebody who acts in an environment, when it does not matter who."""
    return actors.system(environment.id, "Story")


def line(amount: int, *, currency: str = "EUR", quantity: int = 1, name: str = "Coffee", **more: Any) -> dict:
    """Describe a line as a validated request does."""
    return {"name": name, "quantity": quantity, "unit_price_money": Money(amount, currency), **more}


def open_order(environment: Environment, *lines: dict, total: int = 10_000, currency: str = "EUR", **data) -> Order:
    """Create an order of the given lines, or of one line worth ``total``."""
    wanted = {"line_items": list(lines) or [line(total, currency=currency)], **data}
    return create_order(actor=actor_in(environment), data=wanted)[0]


def pay(order: Order, *, token: str = "pm_card_visa", **data: Any) -> Paid:
    """Pay everything that is outstanding on an order. Returns the order and the attempt as they turn out."""
    wanted = {"action": "pay", "payment_source": {"token": token}, **data}
    paid = payments.pay(order_id=order.id, data=wanted, actor=actors.system(order.environment_id, "Story"))
    return as_it_turns_out(paid)


def as_it_turns_out(paid: Paid) -> Paid:
    """Return what a payment came to, once any trouble at the processor is settled."""
    if not processors.settled_in_trouble(paid.order.environment_id):
        return paid
    for row in (paid.order, paid.attempt):
        row.refresh_from_db()
    return paid


def paid_order(environment: Environment, *lines: dict, total: int = 10_000, currency: str = "EUR", **data) -> Order:
    """Create an order and pay it with a card."""
    order = open_order(environment, *lines, total=total, currency=currency, **data)
    paid = pay(order)
    assert paid.attempt.status == "succeeded", paid.attempt.failure_code
    return paid.order


def held_order(environment: Environment, *, total: int = 10_000) -> Order:
    """Create an order whose whole amount is held on a card and not yet taken."""
    order = open_order(environment, total=total)
    actor = actor_in(environment)
    leg = payments.create_leg(order_id=order.id, data={"capture_method": "manual"}, actor=actor)
    data = {
        "action": "confirm_payment_intents",
        "payment_intents": [{"payment_intent_id": leg.id, "token": "pm_card_visa"}],
    }
    return as_it_turns_out(payments.pay(order_id=order.id, data=data, actor=actor)).order


def checkout(order: Order, **data: Any) -> Launched:
    """Open a checkout session on an order. Returns it with the secret that lets its buyer in."""
    return create_session(data={"order_id": order.id, **data}, actor=actors.system(order.environment_id, "Story"))


def payment_link(environment: Environment, **data: Any) -> PaymentLink:
    """Make a payment link that offers one line, or what ``data`` of a validated request says."""
    wanted = {"name": "Sale", "payment_link_type": "standard", "line_items": [line(1_200, name="Mug")], **data}
    return create_link(data=wanted, actor=actor_in(environment))


def payment_term(environment: Environment, *, days: int = 14, **data: Any) -> InvoicePaymentTerm:
    """Make a payment term, due so many days after issue, or as ``data`` of a validated request says."""
    wanted = {"name": f"{days} days", "calculation": {"type": "net_days", "days": days}, **data}
    return create_term(data=wanted, actor=actor_in(environment))


def draft_invoice(order: Order, **data: Any) -> Invoice:
    """Prepare an invoice for an order. ``data`` is what else a validated request says."""
    actor = actors.system(order.environment_id, "Story")
    return create_invoice(data={"order_id": order.id, **data}, actor=actor)


def issued_invoice(
    order: Order, *, delivery_mode: str = "caller_managed", at: datetime | None = None, **data: Any
) -> Issued:
    """Prepare an invoice for an order and issue it. Returns it with its link."""
    invoice = draft_invoice(order, **data)
    actor = actors.system(order.environment_id, "Story")
    return issue_invoice(invoice_id=invoice.id, delivery_mode=delivery_mode, actor=actor, at=at)


def refund(order: Order, **data: Any) -> Refund:
    """Refund an order: all that is left, or what ``data`` of a validated request says. Runs what it sets off."""
    actor = actors.system(order.environment_id, "Story")
    with settled():
        made = refunds.create_refund(data={"order_id": order.id, **data}, actor=actor)
    processors.settled_in_trouble(order.environment_id)
    made.refresh_from_db()
    return made


def credit_note(invoice: Invoice, *, amount: int = 1_000) -> CreditNote:
    """Issue a credit note over a part of an invoice's first line."""
    actor = actors.system(invoice.environment_id, "Story")
    correction = {"type": "amount", "amount_money": invoice.money(amount)}
    line = {"invoice_line_item_id": invoice.snapshot["line_items"][0]["invoice_line_item_id"], "correction": correction}
    data = {"invoice_id": invoice.id, "reason": "goodwill", "credit_note_lines": [line]}
    note = credit_notes.create_credit_note(data=data, actor=actor)
    return credit_notes.issue_credit_note(note.id, actor=actor)


def saved_card(customer: Customer, *, token: str = "pm_card_visa") -> PaymentMethod:
    """Have a customer save a card, from the merchant's request to the processor's notice."""
    actor = actors.system(customer.environment_id, "Story")
    saved = payments.save_method(data={"customer_id": customer.id}, actor=actor)
    network_of(customer.environment_id).hand_in_card(saved.setup.client_secret, token, passed=True)
    deliver_notices(customer.environment_id)
    saved.method.refresh_from_db()
    return saved.method


@contextmanager
def settled() -> Iterator[None]:
    """Run what the block leaves to after its commit, and what that leaves in turn, before going on."""
    with collecting() as tasks, TestCase.captureOnCommitCallbacks(execute=True):
        yield
    while tasks:
        batch, tasks = list(tasks), []
        with collecting() as tasks, TestCase.captureOnCommitCallbacks(execute=True):
            for task, kwargs in batch:
                if not task.name.startswith(NOT_RUN):
                    task.run(**kwargs)


def deliver_notices(environment: Environment | str, *, at: datetime | None = None, handled: bool = True) -> int:
    """
    Let the processor post its waiting notices to Flint, and have Flint handle them. Return how many were posted.

    Where trouble stands, what the notices could not tell is settled too, if they are handled at all.
    """
    posted = deliver_notices_once(environment, at=at, handled=handled)
    if handled:
        processors.settled_in_trouble(environment, at=at)
    return posted


def deliver_notices_once(environment: Environment | str, *, at: datetime | None = None, handled: bool = True) -> int:
    """Let the waiting notices be posted once, whatever comes of it, and have those handled that came."""
    network = network_of(environment)
    at = network.moment(at or timezone.now())
    posted = 0

    def post(url: str, body: bytes, headers: dict[str, str]) -> int:
        nonlocal posted
        posted += 1
        _, processor, environment_id = url.rsplit("/", 2)
        inbound.receive(processor_name=processor, environment_id=environment_id, headers=headers, body=body, at=at)
        return 200

    with collecting():
        network.deliver(at, post)
    if handled:
        with settled():
            inbound.handle_waiting(at=at)
    return posted


def time_passes(environment: Environment, at: datetime) -> None:
    """Let the processor come to a later moment, tell Flint, and let Flint sweep up."""
    with collecting():
        network_of(environment).advance(at)
    deliver_notices(environment, at=at)
    sweep(at=at)


def sweep(*, at: datetime) -> None:
    """Ask about everything that is not final, as the beat does, and again where trouble stands."""
    sweep_once(at=at)
    processors.settle_all(at=at)


def sweep_once(*, at: datetime) -> None:
    """Ask about everything that is not final and due, one time."""
    with settled():
        payments.sweep(at=at)
        refunds.sweep(at=at)
        disputes.sweep(at=at)


def merchant_sends(environment: Environment, *names: str) -> None:
    """Have the merchant send these kinds of emails itself, and Flint all others."""
    for chosen in (None, dict.fromkeys(names, "merchant_sends")):
        update_settings(data={"customer_email_delivery": chosen}, actor=actor_in(environment))


def wire(money: Money) -> dict[str, Any]:
    """Write money as a request carries it."""
    return {"amount": money.amount, "currency": money.currency}


def eur(amount: int) -> Money:
    """Minor units of euros."""
    return Money(amount, "EUR")
