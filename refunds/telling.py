"""What refunds show of themselves on an order."""

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from orders.selectors import shows
from refunds.models import Refund

shows(refund_ids=ArraySubquery(Refund.objects.filter(order=OuterRef("pk")).order_by("created_at", "id").values("id")))
