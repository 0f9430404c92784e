"""
Pictures that merchants choose, such as a logo: sent as bytes, never by address, so that nothing has to be fetched.

A PNG or JPEG of a modest size, which is looked at here and decoded nowhere but by who shows it.
"""

import base64
import binascii
import struct

MOST_BYTES = 64 * 1024
MOST_PIXELS = 2_000
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"


class BadPicture(ValueError):
    """What was chosen is no picture that can be shown."""


def read_picture(encoded: str) -> bytes:
    """
    Return the bytes of a picture that was sent in base64.

    :raises BadPicture: if it is too large, or neither PNG nor JPEG.
    """
    if len(encoded) > MOST_BYTES * 4 // 3 + 4:
        raise BadPicture(f"A picture has at most {MOST_BYTES // 1024} KiB.")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadPicture("A picture is sent in base64.") from None
    if len(content) > MOST_BYTES:
        raise BadPicture(f"A picture has at most {MOST_BYTES // 1024} KiB.")
    sizes = _size_of(content)
    if sizes is None:
        raise BadPicture("A picture is a PNG or a JPEG.")
    if not all(0 < size <= MOST_PIXELS for size in sizes):
        raise BadPicture(f"A picture is at most {MOST_PIXELS} pixels wide and high.")
    return content


def format_of(content: bytes) -> str:
    """Return what kind of picture it is: ``png`` or ``jpg``."""
    return "png" if content.startswith(PNG) else "jpg"


def mime_type_of(content: bytes) -> str:
    """Return what a browser calls the kind of picture."""
    return "image/png" if content.startswith(PNG) else "image/jpeg"


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
