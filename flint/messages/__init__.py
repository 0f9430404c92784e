"""
Emails about orders: an outbox written with the facts, what each kind says, and how it is sent.

The rooms say what is told (:mod:`flint.messages.kinds`) and when (:func:`flint.messages.outbox.queue`).
"""
