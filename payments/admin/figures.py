"""What payments say on the first page: how many of those that were tried went through."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from flint import dashboard
from flint.admin import ReadOnlyAdmin
from flint.dashboard import Scope, Tile
from payments.models import PaymentIntent
from payments.models.intents import S

WENT_THROUGH = Q(status=S.SUCCEEDED)
DECLINED = ~Q(error_code="") & ~Q(status=S.SUCCEEDED)


class OutcomeFilter(admin.SimpleListFilter):
    """Keeps to payments that went through, or that were declined and have not gone through since."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [("succeeded", "Went through"), ("declined", "Declined"), ("decided", "Either")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        wanted = {"succeeded": WENT_THROUGH, "declined": DECLINED, "decided": WENT_THROUGH | DECLINED}
        return queryset.filter(wanted[self.value()]) if self.value() in wanted else queryset


def success_tiles(scope: Scope) -> list[Tile]:
    """Say how many of the payments of these days that have an outcome went through."""
    payments = PaymentIntent.objects.filter(
        environment=scope.environment,
        currency=scope.currency,
        created_at__gte=scope.start,
        created_at__lt=scope.end,
    ).order_by()
    good, bad = payments.filter(WENT_THROUGH).count(), payments.filter(DECLINED).count()
    decided = good + bad
    rate = f"{(200 * good + decided) // (2 * decided)} %" if decided else "–"
    link = {"currency": scope.currency, **scope.during}
    return [
        Tile("Payments that went through", rate, scope.link("payments_paymentintent", outcome="decided", **link)),
        Tile("Went through", str(good), scope.link("payments_paymentintent", outcome="succeeded", **link)),
        Tile("Declined", str(bad), scope.link("payments_paymentintent", outcome="declined", **link)),
    ]


dashboard.tiles.append(success_tiles)
