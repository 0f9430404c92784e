"""A merchant's logo as its documents show it: kept by the digest of its bytes, as it was when they were made."""

import hashlib
from collections.abc import Mapping
from typing import Any

from flint.pictures import format_of, read_picture
from invoices.models.logos import DocumentLogo

__all__ = ["format_of", "freeze_branding", "keep_logo", "logo_of"]


def keep_logo(environment_id: str, encoded: str | None) -> str:
    """Keep a logo for the documents that are going to show it; return its digest, empty if there is none."""
    if not encoded:
        return ""
    content = read_picture(encoded)
    digest = hashlib.sha256(content).hexdigest()
    DocumentLogo.objects.bulk_create(
        [DocumentLogo(environment_id=environment_id, digest=digest, content=content)], ignore_conflicts=True
    )
    return digest


def freeze_branding(environment_id: str, branding: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a document looks, for its snapshot: colours, and the digest of a logo that is kept from now on."""
    looks = {name: value for name, value in branding.items() if name != "logo"}
    return {**looks, "logo": keep_logo(environment_id, branding.get("logo"))}


def logo_of(environment_id: str, digest: str) -> bytes | None:
    """Return the bytes of a logo that was kept."""
    if not digest:
        return None
    return bytes(DocumentLogo.objects.only("content").get(environment_id=environment_id, digest=digest).content)
