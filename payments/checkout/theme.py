"""A merchant's colours, with text on them that can be read, and never so pale that what they mark cannot be seen."""

from collections.abc import Mapping

from flint.colours import VISIBLE, contrast, readable_on

INK = "#16191d"


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
