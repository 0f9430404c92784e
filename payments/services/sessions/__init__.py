"""Checkout sessions: opening one on an order, letting a buyer in, changing it, and the ways it ends."""
