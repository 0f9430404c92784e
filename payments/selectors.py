"""Reading payments: attempts with their tries, and what an order shows of its payments."""

from collections.abc import Sequence

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Prefetch, QuerySet
from django.utils import timezone

from flint.actors import Actor
from flint.errors import Conflict
from orders.models import Order
from orders.selectors import attaches, narrows, shows
from payments.models import CheckoutSession, PaymentAttempt, PaymentIntent, PaymentMethod, PaymentOperation
from payments.models.intents import CONFIRMABLE
from payments.processors import processor_of
from payments.services.invoices.parts import part_of_session

TYPES = {"card": "card", "ach_debit": "us_bank_account", "affirm": "affirm", "apple_pay": "card", "google_pay": "card"}
"""What the processor's form calls each payment option; a wallet holds cards."""

WALLETS = ("apple_pay", "google_pay")

shows(
    payment_intent_ids=ArraySubquery(
        PaymentIntent.objects.filter(order=OuterRef("pk")).order_by("created_at", "id").values("id")
    ),
    checkout_session_ids=ArraySubquery(
        CheckoutSession.objects.filter(order=OuterRef("pk")).order_by("created_at", "id").values("id")
    ),
)


def attempts_with_tries(rows: QuerySet[PaymentAttempt]) -> QuerySet[PaymentAttempt]:
    """Have attempts carry their tries, each with its leg, as ``tries``: one more statement for all of them."""
    confirms = (
        PaymentOperation.objects.filter(kind="confirm").select_related("payment_intent").order_by("created_at", "id")
    )
    return rows.prefetch_related(Prefetch("operations", queryset=confirms, to_attr="tries"))


def read_attempt(order_id: str, attempt_id: str, *, actor: Actor) -> PaymentAttempt:
    """:raises PaymentAttemptNotFound: if the order has no such attempt, or is foreign."""
    attempts = PaymentAttempt.objects.of(actor).filter(order__in=Order.objects.of(actor))
    return attempts_with_tries(attempts).find(id=attempt_id, order_id=order_id)


@attaches
def attach_payments(orders: Sequence[Order], single: bool) -> None:
    """
    Set on orders their open attempt, the holds in it, and, on one read alone, how to collect what is owed.

    Two statements for all orders, one more for a single one.
    """
    open_ids = [order.active_attempt_id for order in orders if order.active_attempt_id]
    attempts = (
        {attempt.id: attempt for attempt in attempts_with_tries(PaymentAttempt.objects.filter(id__in=open_ids))}
        if open_ids
        else {}
    )
    for order in orders:
        order.active_payment_attempt = attempts.get(order.active_attempt_id)
        order.authorization_amounts = authorization_amounts(order)
        order.payment_collection = _collection(order) if single else None


@narrows
def narrow_to_session(order: Order, actor: Actor) -> None:
    """Keep to what a buyer's own session did on its order, and have it collect as a session does: two statements."""
    session = CheckoutSession.objects.get(id=actor.id)
    session.order = order
    order.checkout_session_ids = [session.id]
    order.payment_intent_ids = list(
        PaymentIntent.objects.of(actor).order_by("created_at", "id").values_list("id", flat=True)
    )
    attempt = order.active_payment_attempt
    if attempt is not None and attempt.checkout_session_id != session.id:
        order.active_payment_attempt = order.authorization_amounts = None
    order.payment_collection = session_collection(session)


def session_collection(session: CheckoutSession) -> dict | None:
    """Return what the buyer's browser needs to collect what the order owes now; nothing once the session ended."""
    order = session.order
    if not session.is_open or not _is_collectable(order):
        return None
    try:
        part = part_of_session(session, order, at=timezone.now())
    except Conflict:
        return None  # Its invoice asks for nothing just now.
    return collection_of(
        order,
        part.amount,
        return_url=session.return_url,
        step=("create_confirmation_token", "pay_order"),
        options=session.payment_options or ("card", "ach_debit"),
    )


def _is_collectable(order: Order) -> bool:
    is_free = not order.active_attempt_id and not order.is_collection_blocked
    return order.status == "open" and order.outstanding_amount > 0 and is_free


def authorization_amounts(order: Order) -> dict | None:
    """Return what is held in the open attempt that an order carries, and not yet taken."""
    if order.active_payment_attempt is None:
        return None
    holds = [
        operation.payment_intent
        for operation in order.active_payment_attempt.tries
        if operation.payment_intent.status == "requires_capture"
    ]
    if not holds:
        return None
    expiries = [leg.authorization_expires_at for leg in holds if leg.authorization_expires_at]
    return {
        "authorized_money": order.money(sum(leg.authorized_amount for leg in holds)),
        "capturable_money": order.money(sum(leg.capturable_amount for leg in holds)),
        "expires_at": min(expiries, default=None),
    }


def _collection(order: Order) -> dict | None:
    """Return what a browser needs to collect what is owed; nothing while a payment is open or nothing is owed."""
    return collection_of(order, order.outstanding_amount) if _is_collectable(order) else None


def collection_of(
    order: Order,
    amount: int,
    *,
    return_url: str = "",
    step: tuple[str, str] = ("collect_payment_source", "pay_order"),
    options: Sequence[str] = ("card", "ach_debit"),
) -> dict | None:
    """
    Return collection guidance of the contract for an amount of an order; None where nobody can collect.

    ``step`` is what the browser does next and what is called with its result.
    """
    name = order.environment.processor
    if not name or not processor_of(name).is_configured(environment_id=order.environment_id):
        return None
    keys = processor_of(name).collection(environment_id=order.environment_id)
    return {
        "stripe": {
            **keys,
            "return_url": return_url or None,
            "elements": {
                "mode": "payment",
                "next_step": step[0],
                "submit_to": step[1],
                "payment_method_creation": "manual",
                "payment_method_types": list(dict.fromkeys(TYPES[option] for option in options)),
                "digital_wallets": [option for option in options if option in WALLETS] or None,
                "amount_money": order.money(amount),
            },
        }
    }


def readable_intents(actor: Actor) -> QuerySet[PaymentIntent]:
    """Return the actor's payment intents, of orders and standalone, with all that a list shows: one statement."""
    return PaymentIntent.objects.of(actor).select_related("environment", "order__customer")


def readable_methods(actor: Actor) -> QuerySet[PaymentMethod]:
    """Return the actor's payment methods with all that a list shows: one statement."""
    return PaymentMethod.objects.of(actor).select_related("environment", "customer")


def read_intent(payment_intent_id: str, *, actor: Actor) -> PaymentIntent:
    """
    Return one payment intent with the buyer's step, if one waits, and how to collect it, as long as it can be.

    :raises PaymentIntentNotFound: if it is absent or foreign.
    """
    leg = readable_intents(actor).find(id=payment_intent_id)
    leg.payment_collection = intent_collection(leg)
    return with_action(leg)


def with_action(leg: PaymentIntent) -> PaymentIntent:
    """Have a standalone payment intent that waits for the buyer carry the try whose step it is."""
    if leg.is_standalone and leg.status == "requires_action":
        leg.acting = leg.operations.filter(kind="confirm", action__isnull=False).order_by("-position").first()
    return leg


def intent_collection(leg: PaymentIntent) -> dict | None:
    """Return how to collect a payment intent; nothing once it is being paid, or its order's money is."""
    order = leg.order
    if leg.status not in CONFIRMABLE or order.status != "open" or order.active_attempt_id:
        return None
    step = None
    if leg.is_standalone or leg.checkout_session_id:
        step = ("create_confirmation_token", "confirm_payment_intent" if leg.is_standalone else "pay_order")
    order.environment = leg.environment
    given = {"step": step, "options": leg.payment_options} if step else {}
    return collection_of(order, leg.amount, return_url=leg.payment_return_url, **given)
