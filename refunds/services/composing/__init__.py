"""
Composing a refund on a locked order: which parts of the sale it gives back, and through which payments.

Everything is worked out from what remains, promises included, so that whatever succeeds or fails in whatever sequence,
the pieces of a part always sum to the part.
"""

from refunds.services.composing.composer import Composer
from refunds.services.composing.pieces import SURPLUS, TIP, Composition

__all__ = ["SURPLUS", "TIP", "Composer", "Composition"]
