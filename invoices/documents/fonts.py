"""
The fonts of documents. They come with packages, so that a document looks the same on every machine, to the byte.

Noto Sans writes Latin, Greek and Cyrillic with the signs of currencies, Noto Sans Arabic what its name says; Hebrew is
in a font that typst brings along. A character that none of them has is shown as one that says so: a PDF that is to be
kept for years may hold no text without a picture of it.
"""

import struct
from functools import cache
from importlib.resources import files
from pathlib import Path

import typst

PACKAGES = ("fontpkg_noto_sans", "fontpkg_noto_sans_arabic")
FAMILIES = ("Noto Sans", "Noto Sans Arabic", "New Computer Modern", "DejaVu Sans Mono")
ELSEWHERE = frozenset({*range(0x5D0, 0x5EB), 0xE3F})
"""Hebrew letters and the sign of the baht: what documents need of the fonts that come with typst."""
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
MOST_IN_ONE_WORD = 24
BREAK = "\N{ZERO WIDTH SPACE}"


@cache
def folders() -> tuple[str, ...]:
    """Return where the fonts are."""
    return tuple(str(files(package) / "files") for package in PACKAGES)


@cache
def fonts() -> typst.Fonts:
    """Return the fonts, read once. What is installed on the machine plays no part."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=list(folders()))


def writable(text: str) -> str:
    """
    Return a text as it can be written: without what no font has, without control characters but line breaks, and with
    places to break words that are too long for a column.
    """
    known = _known()
    shown = "".join(
        letter if ord(letter) in known or letter == "\n" else " " if letter.isspace() else UNKNOWN
        for letter in text.replace("\r\n", "\n")
        if letter.isprintable() or letter.isspace()
    )
    return "\n".join(" ".join(_breakable(word) for word in line.split(" ")) for line in shown.split("\n"))


def _breakable(word: str) -> str:
    if len(word) <= MOST_IN_ONE_WORD:
        return word
    return BREAK.join(word[at : at + MOST_IN_ONE_WORD] for at in range(0, len(word), MOST_IN_ONE_WORD))


@cache
def _known() -> frozenset[int]:
    """Return every character that one of the fonts has, but for what only steers how others are written."""
    found = set(ELSEWHERE)
    for folder in folders():
        for path in sorted(Path(folder).glob("*.ttf")):
            if "Italic" not in path.name:
                found |= _characters(path.read_bytes())
    return frozenset(code for code in found if code >= 0x20 and not 0xE000 <= code <= 0xF8FF)


def _characters(font: bytes) -> set[int]:
    """Return the characters of a TrueType font, by the table that leads from them to glyphs."""
    tables = struct.unpack(">H", font[4:6])[0]
    start = next(
        struct.unpack(">I", font[at + 8 : at + 12])[0]
        for at in range(12, 12 + 16 * tables, 16)
        if font[at : at + 4] == b"cmap"
    )
    found: set[int] = set()
    for index in range(struct.unpack(">H", font[start + 2 : start + 4])[0]):
        at = start + 4 + 8 * index
        table = start + struct.unpack(">I", font[at + 4 : at + 8])[0]
        match struct.unpack(">H", font[table : table + 2])[0]:
            case 4:
                found |= _in_segments(font, table)
            case 12:
                found |= _in_groups(font, table)
    return found


def _in_segments(font: bytes, table: int) -> set[int]:
    count = struct.unpack(">H", font[table + 6 : table + 8])[0] // 2
    ends = struct.unpack(f">{count}H", font[table + 14 : table + 14 + 2 * count])
    starts = struct.unpack(f">{count}H", font[table + 16 + 2 * count : table + 16 + 4 * count])
    return {code for low, high in zip(starts, ends, strict=True) for code in range(low, high + 1) if code != 0xFFFF}


def _in_groups(font: bytes, table: int) -> set[int]:
    count = struct.unpack(">I", font[table + 12 : table + 16])[0]
    groups = (struct.unpack(">II", font[at : at + 8]) for at in range(table + 16, table + 16 + 12 * count, 12))
    return {code for low, high in groups for code in range(low, high + 1)}
