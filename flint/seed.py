"""A demo merchant: keys, staff, customers, and orders that the real services walked into interesting states."""

import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from flint import actors
from flint.actors import Actor
from flint.errors import FlintError
from flint.merchants import selectors
from flint.merchants import services as merchants
from flint.merchants.models import ApiKey, Environment, KeyStatus, Merchant, Role, StaffMember
from flint.merchants.scopes import FULL_ACCESS
from flint.money import Money
from invoices.links import link_of
from invoices.models import Invoice
from invoices.services.drafting import create_invoice
from invoices.services.issuing import issue_invoice
from orders import services as orders
from orders.models import Customer, Order
from payments import services as payments
from payments.models import PaymentOperation
from payments.processors import processor_of
from payments.processors.sandbox import dashboard
from refunds import services as refunds
from refunds.models import Dispute
from refunds.services import disputes

log = structlog.get_logger(__name__)

DEMO_KEY = "Demo"
ROLES = (Role.OWNER, Role.SUPPORT, Role.FINANCE)

# Taxes, in steps of 0.0001 %.
SALES_TAX = 88_750
REDUCED_TAX = 40_000


def seed(known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """
    Make the demo merchant, or find it, and return how to get in.

    Keys and passwords are stored as digests only: those in ``known``, an earlier answer, are kept while they still
    work; others are replaced, and the keys they replace are revoked. Nothing is made twice. Calls the sandbox
    processor, so it must run outside any transaction.
    """
    known = known or {}
    kestrel = _merchant("Kestrel Coffee", business_name="Kestrel Coffee Roasters Ltd", email="hello@kestrel.example")
    other = _merchant("Halcyon Books", business_name="Halcyon Books LLC", email="hello@halcyon.example")
    sandbox = selectors.default_sandbox(kestrel.id)
    facts = {
        "api_key": _key(sandbox, known.get("api_key", "")),
        "environment_id": sandbox.id,
        "merchant_id": kestrel.id,
        "other_api_key": _key(selectors.default_sandbox(other.id), known.get("other_api_key", "")),
        "staff": {role.value: _staff(kestrel, role, known.get("staff", {}).get(role.value, {})) for role in ROLES},
    }
    _sell(sandbox)
    facts["invoice_url"] = _invoice_url(sandbox)
    return facts


def _invoice_url(sandbox: Environment) -> str:
    """Return the link of the invoice that waits to be paid, as its buyer has it."""
    invoices = Invoice.objects.filter(environment=sandbox, order__external_reference_id=INVOICED)
    invoice = invoices.order_by("created_at", "id").first()
    return link_of(invoice) if invoice else ""


def _merchant(name: str, *, business_name: str, email: str) -> Merchant:
    found = Merchant.objects.filter(name=name, email=email).order_by("created_at", "id").first()
    return found or merchants.create_merchant(
        name=name, business_name=business_name, email=email, support_email=email, reporting_timezone="Europe/Dublin"
    )


def _key(environment: Environment, known: str) -> str:
    now = timezone.now()
    try:
        if selectors.authenticate(known, now).environment_id == environment.id:
            return known
    except FlintError:
        pass
    with transaction.atomic():
        for key in ApiKey.objects.filter(environment=environment, name=DEMO_KEY, status=KeyStatus.ACTIVE):
            merchants.revoke_api_key(environment_id=environment.id, api_key_id=key.id, at=now)
        _, secret = merchants.create_api_key(environment=environment, name=DEMO_KEY, scopes=FULL_ACCESS)
    return secret


def _staff(merchant: Merchant, role: Role, known: Mapping[str, str]) -> dict[str, str]:
    """Touch only users who are this merchant's staff already, or make new ones: a name may be somebody else's."""
    User = get_user_model()
    member = StaffMember.objects.filter(merchant=merchant, role=role, user__username__startswith="kestrel-")
    user = User.objects.filter(memberships__in=member).order_by("pk").first()
    if user is not None and known.get("username") == user.username and user.check_password(known.get("password", "")):
        return dict(known)
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        if user is None:
            name = f"kestrel-{role.value}"
            if User.objects.filter(username=name).exists():
                name = f"{name}-{secrets.token_hex(3)}"
            user = User(username=name, email=f"{role.value}@kestrel.example", first_name=role.label, is_staff=True)
        user.set_password(password)
        user.save()
        merchants.add_staff(merchant=merchant, user=user, role=role)
    return {"username": user.username, "password": password}


# The orders. Each is told by a function of its own and known by its external reference, so it is made once.


def _sell(sandbox: Environment) -> None:
    actor = actors.system(sandbox.id, "Demo data")
    ada = _customer(actor, email="ada@lovelace.example", name="Ada Lovelace")
    grace = _customer(actor, email="grace@hopper.example", name="Grace Hopper")
    made = set(
        Order.objects.of(actor)
        .filter(external_reference_id__in=STORIES)
        .values_list("external_reference_id", flat=True)
    )
    for number, (reference, story) in enumerate(STORIES.items()):
        if reference not in made:
            customer = (ada, grace)[number % 2]
            story(Shop(actor, {"external_reference_id": reference, "customer_id": customer.id}))


def _customer(actor: Actor, *, email: str, name: str) -> Customer:
    found = Customer.objects.of(actor).filter(email=email).order_by("id").first()
    return found or orders.create_customer(data={"email": email, "name": name}, actor=actor)


class Shop:
    """The shop's own code: the verbs a merchant calls, on one order."""

    def __init__(self, actor: Actor, common: dict[str, Any]):
        self.actor, self.common = actor, common
        self.order: Order

    def sell(self, *lines: dict[str, Any], **data: Any) -> None:
        self.order, _ = orders.create_order(actor=self.actor, data={"line_items": list(lines), **self.common, **data})

    def pay(self, token: str) -> None:
        data = {"action": "pay", "payment_source": {"token": token}}
        self.order = payments.pay(order_id=self.order.id, data=data, actor=self.actor).order

    def pay_part(self, part: Money | None, token: str, *, capture: str = "automatic") -> None:
        """Pay a part, or all when None, through a payment intent made for it."""
        wanted: dict[str, Any] = {"capture_method": capture} | ({"amount_money": part} if part else {})
        leg = payments.create_leg(order_id=self.order.id, data=wanted, actor=self.actor)
        data = {
            "action": "confirm_payment_intents",
            "payment_intents": [{"payment_intent_id": leg.id, "token": token}],
            "completion_behavior": "partial_payment" if part else "complete_order",
        }
        self.order = payments.pay(order_id=self.order.id, data=data, actor=self.actor).order

    def hear_of_disputes(self) -> Dispute:
        """Ask the network about the order's disputes, instead of waiting for its notices, and return the latest."""
        processor = processor_of("sandbox")
        window = {"since": self.order.created_at, "until": timezone.now() + timedelta(minutes=1)}
        ours = set(
            PaymentOperation.objects.filter(payment_intent__order=self.order).values_list("reference", flat=True)
        )
        for state in processor.list_disputes(environment_id=self.actor.environment_id, **window):
            if state.payment_reference in ours:
                disputes.take_in(processor, state, actor=self.actor)
        self.order = Order.objects.of(self.actor).find(id=self.order.id)
        return Dispute.objects.filter(payment_intent__order=self.order).order_by("-created_at", "-id")[0]

    def refund(self, **data: Any) -> None:
        """Promise money back, and send it at once instead of waiting for the worker, which is not running yet."""
        made = refunds.create_refund(data={"order_id": self.order.id, **data}, actor=self.actor)
        for leg in made.legs.order_by("id"):
            refunds.send_refund(leg.id, actor=self.actor)
        self.order = Order.objects.of(self.actor).find(id=self.order.id)


def _line(name: str, quantity: int, price: Money, *, tax: int = 0, price_mode: str = "additive") -> dict[str, Any]:
    line = {"name": name, "quantity": quantity, "unit_price_money": price}
    return line | {"tax": _tax(tax, price_mode)} if tax else line


def _tax(percent: int, price_mode: str = "additive") -> dict[str, Any]:
    new_york = {"code": "US-NY-NYC", "country": "US", "level": "city", "name": "New York City", "state": "NY"}
    component = {"jurisdiction": new_york, "percent": percent, "tax_type": "sales_tax"}
    return {"calculation": {"mode": "external", "price_mode": price_mode, "components": [component]}}


def _usd(amount: int) -> Money:
    return Money(amount, "USD")


def _eur(amount: int) -> Money:
    return Money(amount, "EUR")


def _jpy(amount: int) -> Money:
    return Money(amount, "JPY")


def _unpaid(shop: Shop) -> None:
    shop.sell(
        _line("House espresso, 1 kg", 2, _eur(2_450)),
        _line("Paper filters, 100", 1, _eur(490)),
        buyer_note="Please grind it for a moka pot.",
    )
    shipping = {"name": "Standard shipping", "type": "shipping", "amount_money": _eur(590)}
    orders.add_charge(order_id=shop.order.id, charge=shipping, actor=shop.actor)


def _declined_then_paid(shop: Shop) -> None:
    shop.sell(
        _line("Gift box", 1, _usd(6_400), tax=SALES_TAX),
        _line("Handwritten card", 1, _usd(350)),
        discounts=[{"manual": {"name": "Welcome", "amount_money": _usd(500)}}],
    )
    shop.pay("pm_card_chargeDeclinedInsufficientFunds")
    shop.pay("pm_card_visa")


def _waiting_for_buyer(shop: Shop) -> None:
    shop.sell(_line("Espresso machine", 1, _eur(64_900)))
    shop.pay("pm_card_threeDSecure2Required")


def _bank_debit(shop: Shop) -> None:
    shop.sell(_line("Office subscription, one year", 1, _usd(118_800), tax=SALES_TAX, price_mode="inclusive"))
    shop.pay("pm_usBankAccount_processing")


def _held(shop: Shop) -> None:
    shop.sell(_line("Barista course, two days", 1, _eur(38_000)))
    shop.pay_part(None, "pm_card_mastercard", capture="manual")


def _partly_paid(shop: Shop) -> None:
    shop.sell(_line("Catering, 40 people", 1, _usd(52_000), tax=REDUCED_TAX))
    shop.pay_part(_usd(20_000), "pm_card_visa")


def _partly_refunded(shop: Shop) -> None:
    shop.sell(
        _line("Stoneware cup", 4, _jpy(2_200)),
        _line("Kettle", 1, _jpy(12_800)),
        requested_tip={"amount_money": _jpy(500)},
    )
    shop.pay("pm_card_jcb")
    cup = shop.order.line_items.order_by("position", "id")[0]
    shop.refund(
        line_items=[{"order_line_item_id": cup.id, "quantity": 1}],
        reason="defective_product",
        reason_message="It arrived with a chip in the rim.",
    )


def _refunded(shop: Shop) -> None:
    shop.sell(_line("Single origin, 250 g", 3, _usd(1_850), tax=SALES_TAX))
    shop.pay("pm_card_amex")
    shop.refund(reason="requested_by_customer")
    text = "Sent to the wrong address; the customer ordered again."
    orders.add_note(order_id=shop.order.id, text=text, actor=shop.actor)


def _refund_fails(shop: Shop) -> None:
    """The card is gone by the time the refund reaches it: a few seconds after the start it fails and is booked back."""
    shop.sell(_line("Grinder", 1, _eur(15_900)))
    shop.pay("pm_card_refundFail")
    shop.refund(amount_money=_eur(15_900), reason="requested_by_customer")


def _written_off(shop: Shop) -> None:
    shop.sell(_line("Sample pack", 1, _eur(1_200)))
    orders.close_order(order_id=shop.order.id, reason="Sent for free.", actor=shop.actor)


def _disputed(shop: Shop) -> None:
    """The buyer's bank took the money back. Nothing is collected until staff decide, or the bank does."""
    shop.sell(_line("Espresso machine, refurbished", 1, _usd(41_900), tax=SALES_TAX))
    shop.pay("pm_card_createDispute")
    shop.hear_of_disputes()


def _over_collected(shop: Shop) -> None:
    """A lost dispute was collected again, and then won after all: the buyer paid twice, and is owed one of it."""
    shop.sell(_line("Filter machine", 1, _eur(24_900)))
    shop.pay("pm_card_createDispute")
    lost = shop.hear_of_disputes()
    at_network = {"environment_id": lost.environment_id, "reference": lost.reference}
    dashboard.lose(**at_network)
    lost = shop.hear_of_disputes()
    disputes.collect_again(dispute_id=lost.id, reason="The customer offered to pay again.", actor=shop.actor)
    shop.pay("pm_card_mastercard")
    dashboard.win(**at_network)
    shop.hear_of_disputes()


def _invoiced(shop: Shop) -> None:
    """Billed in three parts, of which the first is due: its link is told at the start."""
    shop.sell(
        _line("Espresso bar for a trade fair, three days", 1, _eur(180_000)),
        _line("Barista, per hour", 24, _eur(3_200)),
    )
    now = timezone.now()
    wanted = {
        "order_id": shop.order.id,
        "memo": "Set-up and clean-up are included.",
        "po_number": "FAIR-2026-118",
        "schedule_entries": [
            {
                "kind": "deposit",
                "amount_specification": {"type": "percentage", "percent": 300_000},
                "due": {"type": "at_issue"},
            },
            {
                "kind": "installment",
                "amount_specification": {"type": "fixed", "amount_money": _eur(80_000)},
                "due": {"type": "date", "due_at": now + timedelta(days=14)},
            },
            {
                "kind": "balance",
                "amount_specification": {"type": "remaining_balance"},
                "due": {"type": "date", "due_at": now + timedelta(days=45)},
            },
        ],
    }
    draft = create_invoice(data=wanted, actor=shop.actor)
    issue_invoice(invoice_id=draft.id, delivery_mode="caller_managed", actor=shop.actor)


INVOICED = "DEMO-INVOICED"
STORIES: dict[str, Callable[[Shop], None]] = {
    "DEMO-UNPAID": _unpaid,
    "DEMO-DECLINED-THEN-PAID": _declined_then_paid,
    "DEMO-3DS-WAITING": _waiting_for_buyer,
    "DEMO-BANK-DEBIT": _bank_debit,
    "DEMO-HELD": _held,
    "DEMO-PARTLY-PAID": _partly_paid,
    "DEMO-PARTLY-REFUNDED": _partly_refunded,
    "DEMO-REFUNDED": _refunded,
    "DEMO-REFUND-FAILS": _refund_fails,
    "DEMO-CLOSED": _written_off,
    "DEMO-DISPUTED": _disputed,
    "DEMO-OVER-COLLECTED": _over_collected,
    INVOICED: _invoiced,
}
