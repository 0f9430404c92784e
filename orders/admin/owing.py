"""What is outstanding on orders, and since when they were made: for the list's filter and the first page alike."""

from datetime import timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

STILL_OWED = Q(total_amount__gt=F("credit_amount") + F("paid_amount") - F("refunded_amount") - F("charged_back_amount"))
OWED_LABELS = {
    "owed": "Outstanding",
    "owed_30": "of it, up to 30 days",
    "owed_60": "of it, 30 to 60 days",
    "owed_90": "of it, 60 to 90 days",
    "owed_older": "of it, older",
}
"""Names of the order list's filter, and what the first page calls them."""
AGES = {"owed_30": (0, 30), "owed_60": (30, 60), "owed_90": (60, 90), "owed_older": (90, None)}
"""For how many days, from and to."""


def owed(orders: QuerySet, name: str = "owed") -> QuerySet:
    """Keep to orders on which something is outstanding, for a time that ``name`` names, with ``owed`` annotated."""
    amount = F("total_amount") - F("credit_amount") - F("paid_amount") + F("refunded_amount") + F("charged_back_amount")
    found = orders.filter(STILL_OWED).annotate(owed=amount)
    if name in AGES:
        since, until = AGES[name]
        now = timezone.now()
        found = found.filter(created_at__lte=now - timedelta(days=since)) if since else found
        found = found.filter(created_at__gt=now - timedelta(days=until)) if until else found
    return found
