"""What somebody types to connect Stripe. It only reads; whether keys may be used is for the service to say."""

from typing import Any

from django import forms

from payments.processors.stripe.models import StripeAccount

SECRETS = {"autocomplete": "off", "spellcheck": "false"}


class StripeKeysForm(forms.Form):
    """
    Keys of an environment. Secrets are never sent back to the browser, not even after a mistake.

    With keys there already, what is left empty stays as it is; ``seen`` says which ones somebody looked at.
    """

    secret_key = forms.CharField(max_length=255, strip=True, widget=forms.PasswordInput(attrs=SECRETS))
    publishable_key = forms.CharField(max_length=255, strip=True, widget=forms.TextInput(attrs=SECRETS))
    webhook_secret = forms.CharField(max_length=255, strip=True, widget=forms.PasswordInput(attrs=SECRETS))
    connected_account_id = forms.CharField(max_length=64, strip=True, required=False)
    seen = forms.DateTimeField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, account: StripeAccount | None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.account = account
        if account is not None:
            for name in ("secret_key", "publishable_key", "webhook_secret"):
                self.fields[name].required = False
            del self.fields["connected_account_id"]
            self.fields["seen"].required = True

    def typed(self) -> dict[str, str]:
        """Return the keys as the service takes them."""
        return {name: value for name, value in self.cleaned_data.items() if name != "seen"}
