"""
Reconciliation: what happened at the processor behind our back, found by comparing both sides' lists.

Each room registers how its kind of object is compared (:mod:`payments.reconciling.comparing`); a run
(:mod:`payments.reconciling.runs`) takes every kind through a window, imports what can be booked by the ``record_*``
services that notices use, and keeps the rest as differences (:mod:`payments.reconciling.differences`).
"""
