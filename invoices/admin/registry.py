"""What rooms to the right add to the invoice's pages. They append here when their ``admin`` module is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms

from flint.actors import Actor
from flint.merchants.staff import Right
from invoices.models import Invoice


class StaffForm(forms.Form):
    """A form that looks like all others of the admin. ``invoice`` is what it is about, if it is about one."""

    def __init__(self, *args: Any, invoice: Invoice | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.invoice = invoice
        for each in self.fields.values():
            each.widget.attrs.setdefault("class", "fl-input")


@dataclass(frozen=True)
class Preview:
    """What an act would do, before anybody does it: a sentence, and what it is about."""

    text: str
    facts: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class InvoiceAction:
    """
    A button on the invoice's page, and the form behind it, at a URL of its own.

    ``act`` calls the service with what was typed, and with the version of the invoice that the form showed, so that
    nobody acts on what was not seen; it returns what to say when it is done. ``is_offered`` only decides whether the
    button shows, the service decides whether it works.
    """

    name: str
    label: str
    right: Right
    is_offered: Callable[[Invoice], bool]
    preview: Callable[[Invoice], Preview]
    act: Callable[[Invoice, Mapping[str, Any], Actor], str]
    form: Callable[..., forms.Form] | None = None
    """Made with the invoice; its fields are shown below the preview."""


@dataclass(frozen=True)
class InvoiceSection:
    """A part of the invoice's page. ``load`` reads what its template shows, in a fixed number of statements."""

    template: str
    load: Callable[[Invoice], dict[str, Any]]


invoice_actions: list[InvoiceAction] = []
invoice_sections: list[InvoiceSection] = []
