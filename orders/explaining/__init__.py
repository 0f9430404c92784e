"""Why an order owes what it owes: every figure with the terms that it is the sum of, from the rows and the ledger."""

from orders.explaining.claims import Claim, accounts_for
from orders.explaining.explain import Explanation, ExplanationDoesNotAddUp, Figure, explain_order, explanation_of
from orders.explaining.terms import Rounding, Term

__all__ = [
    "Claim",
    "Explanation",
    "ExplanationDoesNotAddUp",
    "Figure",
    "Rounding",
    "Term",
    "accounts_for",
    "explain_order",
    "explanation_of",
]
