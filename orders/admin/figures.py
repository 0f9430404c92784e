"""What orders say on the first page: what was collected and given back, and what is still owed, by how long."""

from collections import defaultdict
from datetime import date

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDate

from flint import dashboard
from flint.dashboard import Scope, Tile
from orders.admin.entries import FLOWS, of_flow
from orders.admin.owing import OWED_LABELS, owed
from orders.models import LedgerEntry, Order

RECENT = 1000


def currencies(environment_id: str) -> list[str]:
    """Return the currencies of an environment's newest orders, the most used first."""
    newest = Order.objects.filter(environment_id=environment_id).order_by("-id").values("id", "currency")[:RECENT]
    counted = Order.objects.filter(id__in=[row["id"] for row in newest]).order_by()
    rows = counted.values("currency").annotate(number=Count("id")).order_by("-number", "currency")
    return [row["currency"] for row in rows]


def _entries(scope: Scope) -> QuerySet:
    return LedgerEntry.objects.filter(
        environment=scope.environment,
        currency=scope.currency,
        created_at__gte=scope.start,
        created_at__lt=scope.end,
    ).order_by()


def flows(scope: Scope) -> dict[date, tuple[int, int]]:
    """Return what came in and what went back per day, in minor units."""
    moved: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for flow, side in (("collected", 0), ("refunded", 1), ("disputed", 1)):
        per_day = of_flow(_entries(scope), flow).annotate(day=TruncDate("created_at", tzinfo=scope.zone))
        for row in per_day.values("day").annotate(sum=Sum("signed")):
            moved[row["day"]][side] += row["sum"]
    return {day: (came_in, went_back) for day, (came_in, went_back) in moved.items()}


def money_tiles(scope: Scope) -> list[Tile]:
    """Say what moved in these days, each sum with the entries that it is the sum of."""
    sums = {flow: of_flow(_entries(scope), flow).aggregate(sum=Sum("signed"))["sum"] or 0 for flow in FLOWS}
    found = [
        Tile(
            label,
            scope.money(sums[flow]).text(),
            scope.link("orders_ledgerentry", flow=flow, currency=scope.currency, **scope.during),
        )
        for flow, (label, _, _) in FLOWS.items()
    ]
    net = sums["collected"] - sums["refunded"] - sums["disputed"]
    return [*found, Tile("Net", scope.money(net).text(), hint="Collected, less what was refunded and disputed.")]


def owed_tiles(scope: Scope) -> list[Tile]:
    """Say what is outstanding now, by how long ago it was ordered."""
    orders = Order.objects.filter(environment=scope.environment, currency=scope.currency).order_by()
    found = []
    for name, label in OWED_LABELS.items():
        sums = owed(orders, name).aggregate(sum=Sum("owed"), number=Count("id"))
        url = scope.link("orders_order", work=name, currency=scope.currency)
        text = f"{sums['number']} order{'' if sums['number'] == 1 else 's'}"
        found.append(Tile(label, scope.money(sums["sum"] or 0).text(), url, text))
    return found


dashboard.currencies.append(currencies)
dashboard.flows.append(flows)
dashboard.tiles += [money_tiles, owed_tiles]
