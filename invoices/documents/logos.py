"""
A merchant's logo: chosen as bytes, never by address, so that nothing is fetched from anywhere to render a document.

It is a PNG or JPEG of a modest size, which is looked at here and nowhere decoded but by the renderer.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping
from typing import Any

from invoices.models.logos import DocumentLogo

MOST_BYTES = 64 * 1024
MOST_PIXELS = 2_000
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"


class BadLogo(ValueError):
    """What was chosen is no picture that documents can show."""


def read_logo(encoded: str) -> bytes:
    """
    Return the bytes of a logo that was sent in base64.

    :raises BadLogo: if it is too large, or neither PNG nor JPEG.
    """
    if len(encoded) > MOST_BYTES * 4 // 3 + 4:
        raise BadLogo(f"A logo has at most {MOST_BYTES // 1024} KiB.")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadLogo("A logo is sent in base64.") from None
    if len(content) > MOST_BYTES:
        raise BadLogo(f"A logo has at most {MOST_BYTES // 1024} KiB.")
    sizes = _size_of(content)
    if sizes is None:
        raise BadLogo("A logo is a PNG or a JPEG.")
    if not all(0 < size <= MOST_PIXELS for size in sizes):
        raise BadLogo(f"A logo is at most {MOST_PIXELS} pixels wide and high.")
    return content


def format_of(content: bytes) -> str:
    """Return what kind of picture a logo is."""
    return "png" if content.startswith(PNG) else "jpg"


def keep_logo(environment_id: str, encoded: str | None) -> str:
    """Keep a logo for the documents that are going to show it; return its digest, empty if there is none."""
    if not encoded:
        return ""
    content = read_logo(encoded)
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


def _size_of(content: bytes) -> tuple[int, int] | None:
    """Return width and height as the file itself says, None if it is no picture of the two kinds."""
    if content.startswith(PNG) and content[12:16] == b"IHDR" and len(content) >= 24:
        return struct.unpack(">II", content[16:24])
    if not content.startswith(JPEG):
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
