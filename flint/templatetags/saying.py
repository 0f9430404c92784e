"""Saying things to a buyer in a template: ``{% say "Pay {amount}" amount=page.outstanding %}``."""

from django import template

register = template.Library()


@register.simple_tag(takes_context=True)
def say(context, text: str, **values: object) -> str:
    """Return a text in the page's language, with ``{name}`` filled in."""
    return context["language"].say(text, **values)


@register.simple_tag(takes_context=True)
def percent(context, steps: int) -> str:
    """Write a percentage held in steps of 0.0001 %."""
    return context["language"].percent(steps)
