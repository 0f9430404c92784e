"""Stripe behind Flint's processor contract. Nothing outside this package knows Stripe's words."""
