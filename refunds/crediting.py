"""What refunds have made of credit notes, for the room that keeps the notes."""

from collections.abc import Iterable

from django.db.models import OuterRef, Q, Subquery, Sum

from invoices.credits import Returned, sums_what_went_back
from invoices.models import CreditNote
from refunds.models import UNSETTLED, R, Refund


@sums_what_went_back
def returned_by(note_ids: Iterable[str]) -> dict[str, Returned]:
    """Sum the refunds of notes: one statement."""
    newest = Refund.objects.filter(credit_note=OuterRef("id")).order_by("-created_at", "-id")
    notes = CreditNote.objects.filter(id__in=list(note_ids)).values_list("id")
    rows = notes.annotate(
        refunded=Sum("refunds__legs__amount", filter=Q(refunds__legs__status=R.SUCCEEDED), default=0),
        pending=Sum("refunds__legs__amount", filter=Q(refunds__legs__status__in=UNSETTLED), default=0),
        latest=Subquery(newest.values("status")[:1]),
    )
    return {note_id: Returned(refunded, pending, latest or "") for note_id, refunded, pending, latest in rows}
