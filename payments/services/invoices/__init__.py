"""Paying invoices: over a checkout session of their own, with a saved payment method, or by themselves when due."""
