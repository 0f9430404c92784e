"""
What is behind the movements of a processor's balance. Each room knows its own rows by the processor's references, and
says so with :func:`explains`; nothing here names them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from payments.models import BalanceTransaction, PaymentOperation, Payout


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    The row of ours behind a source that a processor names.

    ``booked`` is what its room has posted to the processor's account for it so far, movement by movement, in signed
    minor units of ``currency``.
    """

    type: str
    id: str
    currency: str
    booked: tuple[int, ...] = ()
    order_id: str | None = None
    payment_intent_id: str | None = None


Explainer = Callable[[str, str, Collection[str]], Mapping[str, Explanation]]
"""Given an environment, a processor and references, what is known behind which: in a fixed number of statements."""

_explainers: dict[str, Explainer] = {}


def explains(kind: str) -> Callable[[Explainer], Explainer]:
    """Register who knows a kind of source: ``payment``, ``refund``, ``dispute``, ``payout``."""

    def register(explainer: Explainer) -> Explainer:
        _explainers[kind] = explainer
        return explainer

    return register


def explanations(
    environment_id: str, processor: str, movements: Iterable[BalanceTransaction]
) -> dict[tuple[str, str], Explanation]:
    """Return what is known behind movements, by the kind and reference of their source."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for movement in movements:
        if movement.source_reference and movement.source_kind in _explainers:
            wanted[movement.source_kind].add(movement.source_reference)
    return {
        (kind, reference): explanation
        for kind, references in wanted.items()
        for reference, explanation in _explainers[kind](environment_id, processor, references).items()
    }


@explains("payment")
def _payments(environment_id: str, processor: str, references: Collection[str]) -> dict[str, Explanation]:
    made = PaymentOperation.objects.filter(
        environment_id=environment_id,
        kind="confirm",
        reference__in=references,
        payment_intent__processor=processor,
    ).select_related("payment_intent")
    return {
        operation.reference: Explanation(
            type="payment_intent",
            id=operation.payment_intent_id,
            currency=operation.currency,
            booked=(operation.captured_amount,) if operation.captured_amount else (),
            order_id=operation.payment_intent.order_id,
            payment_intent_id=operation.payment_intent_id,
        )
        for operation in made
    }


@explains("payout")
def _payouts(environment_id: str, processor: str, references: Collection[str]) -> dict[str, Explanation]:
    made = Payout.objects.filter(environment_id=environment_id, processor=processor, reference__in=references)
    return {payout.reference: Explanation(type="payout", id=payout.id, currency=payout.currency) for payout in made}
