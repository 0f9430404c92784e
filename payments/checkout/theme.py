"""A merchant's colours, with text on them that can be read, and never so pale that what they mark cannot be seen."""

from collections.abc import Mapping

INK = "#16191d"
VISIBLE, READABLE = 3.0, 4.5
"""Contrasts that WCAG 2.2 asks of outlines and of text."""


def stylesheet(theme: Mapping[str, str]) -> str:
    """Return the page's colours as a stylesheet; empty where the merchant chose none."""
    primary = theme.get("primary_color") or theme.get("accent_color")
    if not primary:
        return ""
    marks = theme.get("accent_color") or primary
    line = marks if contrast(marks, "#ffffff") >= VISIBLE else INK
    edge = primary if contrast(primary, "#ffffff") >= VISIBLE else INK
    colours = {"accent": primary, "on-accent": readable_on(primary), "edge": edge, "line-accent": line}
    return f":root {{ {' '.join(f'--{name}: {colour};' for name, colour in colours.items())} }}\n"


def readable_on(colour: str) -> str:
    """Return black or white, whichever has more contrast on a colour such as ``#1f4fd8``."""
    return max("#ffffff", "#000000", key=lambda text: contrast(colour, text))


def contrast(one: str, other: str) -> float:
    """Return the contrast between two colours, from 1 to 21. Source: WCAG 2.2."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, from 0 for black to 1 for white."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
