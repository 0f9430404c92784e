"""What tests of payments and refunds do over and over, in words, and the proof that a refusal moved nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

from django.db import connection
from django.utils import timezone

from flint.errors import FlintError
from flint.events.models import Event
from flint.merchants.models import Environment
from flint.money import Money
from flint.testing.client import ApiClient
from flint.testing.processors import network_of, settled_in_trouble
from flint.testing.processors.base import racing
from flint.testing.stories import deliver_notices, wire
from orders.models import Charge, Customer, Discount, LedgerEntry, LineItem, Order, TaxBreakdown
from payments.models import PaymentAttempt, PaymentIntent, PaymentOperation
from payments.processors.sandbox.effects import Effects
from refunds.models import Refund, RefundAllocation, RefundLeg

VISA = "pm_card_visa"
THREE_D_SECURE = "pm_card_threeDSecure2Required"
DECLINED = "pm_card_chargeDeclined"
DEBIT = "pm_usBankAccount_success"


def later(**delta: int) -> datetime:
    """A moment after now."""
    return timezone.now() + timedelta(**delta)


# Calls


def pay(api: ApiClient, order: Order, token: str = VISA, *, key: str | None = None, **data: Any) -> Any:
    """Pay everything that is outstanding, over HTTP."""
    body = {"action": "pay", "payment_source": {"token": token}, **data}
    return turned_out(api, order, api.post(f"/v1/orders/{order.id}/pay", body, key=key))


def stage(api: ApiClient, order: Order, amount: int | None = None, **data: Any) -> str:
    """Create a payment intent on an order and return its id."""
    if amount is not None:
        data["amount_money"] = wire(Money(amount, order.currency))
    made = api.post(f"/v1/orders/{order.id}/payment-intents", data)
    assert made.status_code == 201, made.content
    return made.data["payment_intent"]["payment_intent_id"]


def confirm(api: ApiClient, order: Order, *chosen: str | tuple[str, str], key: str | None = None, **data: Any) -> Any:
    """Confirm payment intents, each with a card or with the token it is paired with."""
    pairs = [(leg, VISA) if isinstance(leg, str) else leg for leg in chosen]
    intents = [{"payment_intent_id": leg, "token": token} for leg, token in pairs]
    body = {"action": "confirm_payment_intents", "payment_intents": intents, **data}
    return turned_out(api, order, api.post(f"/v1/orders/{order.id}/pay", body, key=key))


def resume(api: ApiClient, order: Order, attempt_id: str, **data: Any) -> Any:
    """Go on with an attempt."""
    body = {"action": "resume", "order_payment_attempt_id": attempt_id, **data}
    return api.post(f"/v1/orders/{order.id}/pay", body)


def hold(api: ApiClient, order: Order, token: str = VISA) -> tuple[str, str]:
    """Have the whole order held on a card; return the ids of the payment intent and of the attempt."""
    leg = stage(api, order, capture_method="manual")
    held = confirm(api, order, (leg, token))
    assert held.data["payment_attempt"]["status"] == "requires_capture", held.content
    return leg, held.data["payment_attempt"]["order_payment_attempt_id"]


def capture(api: ApiClient, order: Order, leg: str, attempt: str | None = None, amount: int | None = None, **options):
    """Capture a hold, all of it or an amount."""
    body = {"order_payment_attempt_id": attempt} if attempt else {}
    if amount is not None:
        body["amount_money"] = wire(Money(amount, order.currency))
    return insistently(api, order, f"payment-intents/{leg}/capture", body, **options)


def cancel(api: ApiClient, order: Order, leg: str, attempt: str | None = None, **options: Any) -> Any:
    """Cancel a payment intent."""
    body = {"order_payment_attempt_id": attempt} if attempt else {}
    return insistently(api, order, f"payment-intents/{leg}/cancel", body, **options)


def cancel_attempt(api: ApiClient, order: Order, attempt: str, **options: Any) -> Any:
    """Cancel a payment attempt."""
    return insistently(api, order, f"payment-attempts/{attempt}/cancel", {}, **options)


def insistently(api: ApiClient, order: Order, act: str, body: dict[str, Any], **options: Any) -> Any:
    """Post, and once more if the processor was out of reach because of the standing trouble there."""
    answer = api.post(f"/v1/orders/{order.id}/{act}", body, **options)
    if answer.code == "PAYMENT_PROCESSOR_UNAVAILABLE" and network_of(order.environment_id).is_troubled:
        answer = api.post(f"/v1/orders/{order.id}/{act}", body, **options)
    return turned_out(api, order, answer)


def turned_out(api: ApiClient, order: Order, answer: Any) -> Any:
    """
    Return an answer as it is. Where a standing trouble lost what the processor said, let things settle first, and have
    the answer tell what a client learns then by asking.
    """
    if not settled_in_trouble(order.environment_id):
        return answer
    if answer.code == "PAYMENT_ATTEMPT_STILL_PROCESSING":
        attempt = read_attempt(api, order, answer.error["order_payment_attempt_id"])
        if attempt["status"] in ("canceled", "partially_succeeded"):
            answer.status_code, answer.code, answer.error, answer.data = 200, None, None, {"payment_attempt": attempt}
    if answer.error:
        return answer
    shown = answer.data
    if "order" in shown:
        shown["order"] = api.get(f"/v1/orders/{order.id}").data
    if attempt := shown.get("payment_attempt"):
        shown["payment_attempt"] = read_attempt(api, order, attempt["order_payment_attempt_id"])
    if leg := shown.get("payment_intent"):
        shown["payment_intent"] = api.get(f"/v1/payment-intents/{leg['payment_intent_id']}").data
    return answer


def read_attempt(api: ApiClient, order: Order, attempt_id: str) -> dict[str, Any]:
    """Read an attempt."""
    return api.get(f"/v1/orders/{order.id}/payment-attempts/{attempt_id}").data


def attempt_of(response: Any) -> str:
    """The id of the attempt in an answer."""
    return response.data["payment_attempt"]["order_payment_attempt_id"]


def authenticate(api: ApiClient, response: Any, outcome: str = "pass") -> None:
    """Do on the processor's page what the buyer does there: pass or fail."""
    network_of(api.environment).authenticate(secret_of(response), passed=outcome == "pass")


def secret_of(response: Any) -> str:
    """The secret of the buyer's step in an answer to pay."""
    (action,) = response.data["payment_attempt"]["pending_actions"]
    return action["client_action"]["stripe"]["payment_intent"]["client_secret"]


def save_card(api: ApiClient, customer: Customer, **options: Any) -> Any:
    """Begin to save a card of a customer."""
    return api.post("/v1/payment-methods", {"customer_id": customer.id}, **options)


def hand_in(api: ApiClient, saving: Any, token: str = VISA, outcome: str = "pass") -> None:
    """Do in the browser what the buyer does with an answer to :func:`save_card`."""
    secret = saving.data["client_setup"]["stripe"]["setup_intent"]["client_secret"]
    network_of(api.environment).hand_in_card(secret, token, passed=outcome == "pass")


def saved_card(api: ApiClient, customer: Customer, token: str = VISA) -> str:
    """Save a card of a customer, from the request to the processor's notice; return the payment method's id."""
    saving = save_card(api, customer)
    hand_in(api, saving, token)
    deliver_notices(customer.environment)
    return saving.data["payment_method"]["payment_method_id"]


# At the processor, behind Flint's back


def goes_through_after_all(order: Order) -> None:
    """Have the order's payment that was declined succeed at the processor: the buyer tried another card there."""
    network_of(order.environment_id).pay_with_another_card(_declined(order))


def dropped_by_processor(order: Order) -> None:
    """Have the processor give up the order's payment that was declined."""
    network_of(order.environment_id).cancel(_declined(order), reason="abandoned")


def _declined(order: Order) -> str:
    declined = PaymentOperation.objects.filter(payment_intent__order_id=order.id, kind="confirm")
    return declined.get(result="requires_payment_method").reference


# What is so


def at_processor(order: Order) -> Effects:
    """Every movement of the order's money at the processor."""
    return network_of(order.environment_id).effects(order_id=order.id)


def charged(order: Order) -> list[int]:
    """What the processor took for the order, charge by charge."""
    return [effect.amount for effect in at_processor(order).charges]


def kinds_of(order: Order) -> list[str]:
    """The types of an order's events, oldest first."""
    return list(order.events.order_by("sequence").values_list("type", flat=True))


def attempts_of(order: Order) -> list[str]:
    """The statuses of an order's attempts, oldest first."""
    return list(order.payment_attempts.order_by("created_at", "id").values_list("status", flat=True))


def reference_of(order: Order, position: int = 0) -> str:
    """The processor's name for the order's payment."""
    confirms = PaymentOperation.objects.filter(payment_intent__order_id=order.id, kind="confirm")
    return list(confirms.order_by("created_at", "id").values_list("reference", flat=True))[position]


TABLES = (LineItem, Charge, Discount, TaxBreakdown, LedgerEntry, Event, PaymentAttempt, PaymentIntent)
TABLES += (Refund, RefundLeg, RefundAllocation)
LOOKED_AT = {"updated_at", "next_check_at", "checks"}


@contextmanager
def nothing_moves(*orders: Order) -> Iterator[None]:
    """Assert that no row of the orders, and no money at the processor, is different after the block."""
    before = [picture(order) for order in orders]
    yield
    assert [picture(order) for order in orders] == before


def picture(order: Order) -> dict[str, Any]:
    """Everything there is about an order, apart from when it was last looked at."""
    tables = {Order: "id", PaymentOperation: "payment_intent__order_id", **dict.fromkeys(TABLES, "order_id")}
    rows = {
        table.__name__: [
            {name: value for name, value in row.items() if name not in LOOKED_AT}
            for row in table.objects.filter(**{column: order.id}).order_by("pk").values()
        ]
        for table, column in tables.items()
    }
    return {**rows, "at_processor": list(at_processor(order))}


@contextmanager
def going_wrong(order: Order, *, on: str, fault: str, **options: Any) -> Iterator[None]:
    """Let the processor misbehave inside the block: ``going_wrong(order, on="confirm", fault="lose_answer")``."""
    with network_of(order.environment_id).going_wrong(on=on, fault=fault, **options):
        yield


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls from a thread each, released together; return what each gave back, or raised."""
    barrier = Barrier(len(calls), timeout=30)

    def one(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait()
            return call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it.
            return error
        finally:
            connection.close()

    with racing(), ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(one, calls))


def rounds_of(environment: Environment, times: int) -> int:
    """How often a race is run: less where a call goes over HTTP, and less again where all is to be settled after it."""
    network = network_of(environment)
    return min(times, 5) if network.is_troubled else min(times, 12) if network.name == "stripe" else times


def ended(results: list[Any], *allowed: str) -> list[Any]:
    """Return the results that are no refusal; a refusal has to be one of those allowed, and nothing may crash."""
    kept = []
    for result in results:
        if isinstance(result, FlintError):
            assert result.code in allowed, result
        elif isinstance(result, Exception):
            raise AssertionError("not a refusal but a crash") from result
        elif getattr(result, "code", None):
            assert result.status_code < 500 and result.code in allowed, result.content
        else:
            kept.append(result)
    return kept
