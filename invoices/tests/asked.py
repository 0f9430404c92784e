"""Invoices in tests: drafted and issued through the real services at a moment, and looked at by the clock at others."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core import mail

from flint import actors
from flint.events.models import Event
from flint.merchants.models import Environment
from flint.merchants.settings.changing import update_settings
from flint.messages.sending import send_due
from flint.money import Money
from flint.testing import stories
from flint.testing.stories import settled
from invoices.models import Invoice, InvoicePaymentTerm
from invoices.services import clock, drafting, issuing
from invoices.services.manual import record_manual_payment

ADA = "ada@buyer.example"
BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2027, 3, 1, 10, tzinfo=BERLIN)
"""When invoices of these tests are issued, if nothing else is said: a Monday in winter time."""


def days(number: int, *, hour: int = 10, minute: int = 0, since: datetime = MORNING) -> datetime:
    """Return a time so many days later, by the clocks of where ``since`` is."""
    day = since.date() + timedelta(days=number)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=since.tzinfo)


def settings(environment: Environment, **chosen: Any) -> None:
    """Choose settings of invoices; Berlin time, if nothing else is said."""
    data = {"invoices": {"timezone": "Europe/Berlin", **chosen}}
    update_settings(data=data, actor=actors.system(environment.id))


def rules(*offsets: int) -> dict[str, Any]:
    return {"rules": [{"days_from_due": offset} for offset in offsets]}


def term(environment: Environment, *, fee: dict[str, Any] | None = None, **calculation: Any) -> InvoicePaymentTerm:
    """Make a payment term: in ten days, unless its calculation is given."""
    return InvoicePaymentTerm.objects.create(
        environment=environment,
        name="Ten days",
        calculation=calculation or {"type": "net_days", "days": 10},
        late_fee_policy=fee,
    )


def fixed_fee(amount: int, *, grace: int = 3, mode: str = "manual") -> dict[str, Any]:
    money = {"amount": amount, "currency": "EUR"}
    return {"type": "fixed", "amount_money": money, "grace_period_days": grace, "application_mode": mode}


def percentage_fee(steps: int, *, grace: int = 3, mode: str = "manual") -> dict[str, Any]:
    return {"type": "percentage", "percent": steps, "grace_period_days": grace, "application_mode": mode}


def percent(steps: int) -> dict[str, Any]:
    return {"type": "percentage", "percent": steps}


def deposit(amount: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "deposit", "amount_specification": amount, "due": {"type": "at_issue"}}


def installment(amount: dict[str, Any], due_at: datetime) -> dict[str, Any]:
    return {"kind": "installment", "amount_specification": amount, "due": {"type": "date", "due_at": due_at}}


def balance(due_at: datetime | None = None) -> dict[str, Any]:
    due = {"type": "date", "due_at": due_at} if due_at else {"type": "invoice_due_date"}
    return {"kind": "balance", "amount_specification": {"type": "remaining_balance"}, "due": due}


def drafted(environment: Environment, *, total: int = 10_000, at: datetime = MORNING, **data: Any) -> Invoice:
    """Draft an invoice of an order worth ``total``."""
    order = stories.open_order(environment, total=total, **data.pop("order", {}))
    wanted = {"order_id": order.id, "recipient_email": ADA, **data}
    return drafting.create_invoice(data=wanted, actor=stories.actor_in(environment), at=at)


def issued(environment: Environment, *, at: datetime = MORNING, mode: str = "email", **data: Any) -> Invoice:
    """Issue an invoice of an order worth 100.00, or as ``data`` says. Its email waits in the outbox."""
    invoice = drafted(environment, at=at, **data)
    actor = stories.actor_in(environment)
    return issuing.issue_invoice(invoice_id=invoice.id, delivery_mode=mode, actor=actor, at=at).invoice


def due_in_ten_days(environment: Environment, *, fee: dict[str, Any] | None = None, **data: Any) -> Invoice:
    """Issue an invoice that is due ten days later, the eleventh of March."""
    chosen = {"type": "payment_terms", "invoice_payment_term_id": term(environment, fee=fee).id}
    return issued(environment, payment_due=chosen, **data)


def tick(at: datetime) -> int:
    """Let the clock look at what is due, and the mail go out that this brings about. Returns at how many it looked."""
    with settled():
        seen = clock.sweep(at=at)
        send_due(at=at)
    return seen


def told(invoice: Invoice, *types: str) -> list[str]:
    """Return what was told of an invoice, of these types or of all."""
    events = Event.objects.filter(subject_id=invoice.id).order_by("sequence")
    return [event.type for event in events if not types or event.type in types]


def subjects() -> list[str]:
    """Return the subjects of all mail so far."""
    return [letter.subject for letter in mail.outbox]


def pay(invoice: Invoice, amount: int, *, at: datetime | None = None) -> None:
    """Record money that came in outside."""
    record_manual_payment(
        invoice_id=invoice.id,
        money=Money(amount, invoice.currency),
        actor=stories.actor_in(invoice.environment),
        at=at,
    )
