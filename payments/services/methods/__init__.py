"""Payment methods: saving a customer's card, learning what became of it, and letting go of it."""

from payments.services.methods.keeping import remove_method, set_default_method
from payments.services.methods.recording import record_setup
from payments.services.methods.saving import Saved, save_method
from payments.services.methods.sweeping import detach, sweep_methods

__all__ = [
    "Saved",
    "detach",
    "record_setup",
    "remove_method",
    "save_method",
    "set_default_method",
    "sweep_methods",
]
