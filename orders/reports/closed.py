"""A closed month has the journal that it was closed with, to the byte."""

from flint.reports.registry import Scope, confirms
from orders.models import PeriodClose


@confirms
def as_it_was_closed(scope: Scope, report_type: str, content_sha256: str) -> str:
    """Say whether the journal of a closed month is another one by now."""
    if report_type != "journal_v1":
        return ""
    closed = PeriodClose.objects.using(scope.using).filter(
        environment_id=scope.environment_id,
        start_at=scope.start,
        end_at=scope.end,
        timezone=scope.timezone,
        status="closed",
    )
    period = closed.first()
    if period is None or period.hashes.get(scope.currency, content_sha256) == content_sha256:
        return ""
    return f"the journal of {period.label} is not the one that the month was closed with"
