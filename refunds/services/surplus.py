"""Giving back what came in beyond what an order owes: late money, or the same order paid twice."""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef

from flint import actors
from flint.actors import Actor
from flint.errors import Conflict, FlintError
from flint.merchants.models import SurplusPolicy
from orders.models import Order
from orders.models.orders import OVER_COLLECTED
from refunds.models import UNSETTLED, Refund, RefundOrigin
from refunds.models.refunds import UNDONE
from refunds.services.composing import Composer
from refunds.services.create_refund import promise

log = structlog.get_logger(__name__)

BATCH = 200
MESSAGE = "Paid beyond what was owed."


class NoSurplus(Conflict):
    code = "NO_SURPLUS_TO_REFUND"
    message = "Nothing came in beyond what is owed, or it is on its way back already."


def refund_surplus(order_id: str, *, actor: Actor) -> Refund:
    """
    Promise back what an order collected beyond what it is owed. It raises no credit, since it was never owed.

    How much that is, is read under the order's lock and counts what other refunds already give back of it, so however
    many ask at once, it goes back once.

    :raises OrderNotFound: if it is absent or foreign. :raises NoSurplus: if there is none that could go back.
    """
    with transaction.atomic():
        order = Order.objects.behind(actor).select_related("environment").lock(id=order_id)
        if order.balance_amount >= 0:
            raise NoSurplus
        composer = Composer(order)
        if not composer.surplus:
            raise NoSurplus
        composition = composer.compose({"amount_money": order.money(composer.surplus)})
        refund = Refund(origin=RefundOrigin.SURPLUS, reason="other", reason_message=MESSAGE)
        promise(order, refund, composition, actor=actor, origin=RefundOrigin.SURPLUS)
    return refund


def sweep_surplus(*, at: datetime | None = None) -> int:
    """
    Refund the surplus of the orders whose merchants have it refunded automatically. Return how many refunds were made.

    An order with a payment under way waits for its end. One whose surplus could not be given back before is for staff.
    """
    of_order = Refund.objects.filter(order_id=OuterRef("id"), origin=RefundOrigin.SURPLUS)
    tried = of_order.filter(status__in=UNDONE, handled_at__isnull=True)
    under_way = of_order.filter(status__in=UNSETTLED)
    orders = Order.objects.filter(
        OVER_COLLECTED, active_attempt_id="", environment__merchant__surplus_policy=SurplusPolicy.REFUND
    ).exclude(Exists(tried) | Exists(under_way))
    made = 0
    for order_id, environment_id in orders.order_by("id").values_list("id", "environment_id").iterator():
        # Counted by what was made: those that cannot go back now keep no others waiting, however many they are.
        if made == BATCH:
            break
        try:
            refund_surplus(order_id, actor=actors.system(environment_id, "Surplus policy"))
            made += 1
        except NoSurplus:
            continue
        except FlintError as refusal:
            # What is disputed, for one, cannot go back now; it comes up again.
            log.info("surplus.kept", order_id=order_id, code=refusal.code)
        except Exception:
            log.exception("sweep.failed", order_id=order_id)
    return made
