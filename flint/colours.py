"""Colours that can be told apart and read on each other. Source of the arithmetic: WCAG 2.2."""

VISIBLE, READABLE = 3.0, 4.5
"""Contrasts that WCAG 2.2 asks of outlines and of text."""


def readable_on(colour: str) -> str:
    """Return black or white, whichever has more contrast on a colour such as ``#1f4fd8``."""
    return max("#ffffff", "#000000", key=lambda text: contrast(colour, text))


def contrast(one: str, other: str) -> float:
    """Return the contrast between two colours, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, from 0 for black to 1 for white."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
