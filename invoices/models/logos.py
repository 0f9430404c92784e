"""The pictures that documents begin with, kept for as long as there are documents that show them."""

import pgtrigger
from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.records import Record


class DocumentLogo(Record):
    """
    A merchant's logo as documents show it, known by the digest of its bytes. Append-only.

    Kept once however many documents show it; what the merchant chooses later never reaches those that are issued.
    """

    id = PublicIdField(prefix="lgo")
    digest = models.CharField(max_length=64)
    content = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="document_logo_once", fields=["environment", "digest"]),
            models.CheckConstraint(name="document_logo_has_a_digest", condition=~Q(digest="")),
        ]
        triggers = [pgtrigger.Protect(name="document_logo_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.digest[:12]
