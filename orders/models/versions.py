"""What an order's rows were. Written by the triggers of ``orders.keeping``, and by nobody else."""

import pgtrigger
from django.db import models

from flint.records import EnvironmentQuerySet


class RowVersion(models.Model):
    """
    One change of one row of an order: the columns that changed, all of them when it was new, none when it went.

    Append-only. ``recorded_at`` is when the change was committed, the same for all that one transaction changed;
    ``model`` is the label of the row's model.
    """

    id = models.BigAutoField(primary_key=True)
    # Both ids are copied from the row itself: constraints would check at each commit what cannot be otherwise.
    environment = models.ForeignKey(
        "merchants.Environment", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    order = models.ForeignKey(
        "orders.Order", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="row_versions"
    )
    model = models.CharField(max_length=64)
    row_id = models.CharField(max_length=40)
    changes = models.JSONField(null=True)
    recorded_at = models.DateTimeField()

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["order", "recorded_at"], name="version_by_order")]
        triggers = [pgtrigger.Protect(name="version_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.model} {self.row_id}"
