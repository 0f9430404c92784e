"""What of refunds is not known, read from the database at each scrape."""

from collections.abc import Iterator

from flint.metrics import Metric, gauge, rows, source
from payments.metrics import AGES

UNKNOWN = f"""
    SELECT {AGES}, COUNT(*)
    FROM (
        SELECT now() - created_at AS age FROM refunds_refundleg
        WHERE next_check_at IS NOT NULL AND sent_at IS NOT NULL AND answered_at IS NULL
    ) AS unanswered
    GROUP BY 1
"""


@source
def unknown_refunds() -> Iterator[Metric]:
    """Tell how many refunds were sent to a processor without a known outcome, and for how long."""
    values = {(age,): float(count) for age, count in rows(UNKNOWN)}
    yield gauge("flint_unknown_refund_calls", "Refunds sent without a known outcome, by age.", values, ["age"])
