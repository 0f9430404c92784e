"""What people type on the network's dashboard. The network itself says whether it can be done."""

from typing import Any

from django import forms

from flint.money import Money, is_known_currency
from flint.typed import money_typed
from payments.processors.sandbox import disputes, payouts, tokens

SPANS = (("1", "a day"), ("3", "3 days"), ("8", "8 days"), ("15", "15 days"), ("60", "60 days"))


def _words(codes: Any) -> list[tuple[str, str]]:
    return [(code, code.replace("_", " ").capitalize()) for code in codes]


class NothingTyped(forms.Form):
    """A verb that takes nothing but its subject."""

    def __init__(self, *args: Any, currency: str = "", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.currency = currency


class AmountForm(NothingTyped):
    """An amount in the currency of what it is about."""

    amount = forms.CharField(max_length=20, error_messages={"required": "Write an amount."})

    def clean_amount(self) -> Money:
        return money_typed(self.cleaned_data["amount"], self.currency)


class DisputeForm(AmountForm):
    """How much is disputed, why, and whether the money goes at once."""

    reason = forms.ChoiceField(choices=_words(disputes.REASONS))
    case_type = forms.ChoiceField(choices=_words(disputes.CASE_TYPES), initial="chargeback")
    withdraws = forms.BooleanField(required=False)


class ReturnForm(NothingTyped):
    """The code by which a bank returns a debit."""

    code = forms.ChoiceField(
        choices=[(code, f"{code} {reason.replace('_', ' ')}") for code, reason in disputes.RETURN_REASONS.items()]
    )


class PayoutFailureForm(NothingTyped):
    """Why a bank sends a payout back."""

    code = forms.ChoiceField(choices=_words(payouts.FAILURES))


class ForeignForm(forms.Form):
    """An amount in any currency."""

    currency = forms.CharField(max_length=3)
    amount = forms.CharField(max_length=20, error_messages={"required": "Write an amount."})

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        currency = data.get("currency", "").upper()
        if not is_known_currency(currency):
            raise forms.ValidationError("Write a currency by its three letters, like EUR.")
        data["money"] = money_typed(data.get("amount", ""), currency)
        return data


class ChargeForm(ForeignForm):
    """A payment that nobody in the shop asked for."""

    token = forms.ChoiceField(choices=[(f"pm_{name}", f"pm_{name}") for name in tokens.BEHAVIOURS])
    holds = forms.BooleanField(required=False)


class TimeForm(forms.Form):
    """How far ahead what is due happens now."""

    days = forms.TypedChoiceField(choices=SPANS, coerce=int)
