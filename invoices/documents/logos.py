"""
A merchant's logo on documents: chosen as bytes, never by address, so that nothing is fetched to render one.

It is kept by its digest, so that a snapshot only has to name it.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from flint.pictures import read_picture
from invoices.models.logos import DocumentLogo


def freeze_branding(environment_id: str, branding: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a document looks, for its snapshot: colours, and the digest of a logo that is kept from now on."""
    looks = {name: value for name, value in branding.items() if name != "logo"}
    return {**looks, "logo": keep_logo(environment_id, branding.get("logo"))}


def keep_logo(environment_id: str, encoded: str | None) -> str:
    """Keep a logo for the documents that are going to show it; return its digest, empty if there is none."""
    if not encoded:
        return ""
    content = read_picture(encoded)
    digest = hashlib.sha256(content).hexdigest()
    if not DocumentLogo.objects.filter(environment_id=environment_id, digest=digest).exists():
        logo = DocumentLogo(environment_id=environment_id, digest=digest, content=content)
        DocumentLogo.objects.bulk_create([logo], ignore_conflicts=True)
    return digest


def logo_of(environment_id: str, digest: str) -> bytes | None:
    """Return the bytes of a logo that was kept."""
    if not digest:
        return None
    return bytes(DocumentLogo.objects.only("content").get(environment_id=environment_id, digest=digest).content)
