"""What staff fill in to refund an order. It only reads what was typed; whether it may be is for the service to say."""

import hashlib
from typing import Any

from django import forms

from flint.actors import Command
from flint.typed import money_typed
from orders.models import LineItem, Order
from refunds.models import Reason

HOW = (("all", "Everything left"), ("lines", "Some lines"), ("amount", "An amount"))


class RefundForm(forms.Form):
    """
    How much goes back, and why. ``token`` is made with the form and names the wish: sent twice, it is one refund.
    """

    token = forms.UUIDField(widget=forms.HiddenInput)
    how = forms.ChoiceField(
        choices=HOW, widget=forms.RadioSelect, error_messages={"required": "Choose what goes back."}
    )
    amount = forms.CharField(required=False, max_length=20)
    reason = forms.ChoiceField(required=False, choices=[("", "No reason given"), *((r.value, r.label) for r in Reason)])
    reason_message = forms.CharField(required=False, max_length=1000, strip=True)

    def __init__(self, *args: Any, order: Order, lines: list[LineItem], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.order, self.lines = order, lines
        for line in lines:
            self.fields[self.name_of(line)] = forms.IntegerField(
                required=False, min_value=0, max_value=line.remaining_quantity, label=line.name
            )

    @staticmethod
    def name_of(line: LineItem) -> str:
        """Return the field that takes the units of a line."""
        return f"units_{line.id}"

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("how") == "all" and (data.get("amount") or self._targets(data)):
            raise forms.ValidationError("Choose either everything, or lines, or an amount: more than one is filled in.")
        if data.get("how") == "lines" and data.get("amount") or data.get("how") == "amount" and self._targets(data):
            raise forms.ValidationError("Choose either lines or an amount: both are filled in.")
        if data.get("how") == "amount":
            try:
                data["money"] = money_typed(data.get("amount", ""), self.order.currency)
            except forms.ValidationError as error:
                self.add_error("amount", error)
        if data.get("how") == "lines" and not self.errors and not self._targets(data):
            raise forms.ValidationError("Say how many units of which line go back.")
        return data

    def request(self) -> dict[str, Any]:
        """Return what was asked for, as ``create_refund`` takes it."""
        data = self.cleaned_data
        wanted: dict[str, Any] = {"order_id": self.order.id}
        if data["how"] == "amount":
            wanted["amount_money"] = data["money"]
        elif data["how"] == "lines":
            wanted["line_items"] = self._targets(data)
        for name in ("reason", "reason_message"):
            if data[name]:
                wanted[name] = data[name]
        return wanted

    def command(self) -> Command:
        """Return the name of this wish, and a digest of what it asks."""
        digest = hashlib.sha256(repr(sorted(self.request().items())).encode()).hexdigest()
        return Command(key=str(self.cleaned_data["token"]), digest=digest)

    def _targets(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        units = [(line.id, data.get(self.name_of(line))) for line in self.lines]
        return [{"order_line_item_id": line_id, "quantity": count} for line_id, count in units if count]
