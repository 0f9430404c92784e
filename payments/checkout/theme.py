"""A merchant's colours, with text on them that can be read."""

from collections.abc import Mapping


def stylesheet(theme: Mapping[str, str]) -> str:
    """Return the page's colours as a stylesheet; empty where the merchant chose none."""
    primary = theme.get("primary_color") or theme.get("accent_color")
    if not primary:
        return ""
    return f":root {{ --accent: {primary}; --on-accent: {readable_on(primary)}; }}\n"


def readable_on(colour: str) -> str:
    """Return black or white, whichever has more contrast on a colour such as ``#1f4fd8``. Source: WCAG 2.2."""
    light = luminance(colour)
    # The contrast with white is 1.05 / (light + 0.05), with black (light + 0.05) / 0.05; the larger one wins.
    return "#ffffff" if (light + 0.05) ** 2 < 1.05 * 0.05 else "#000000"


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, from 0 for black to 1 for white."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
