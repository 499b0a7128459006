"""Budgets on the request path: reserve before an attempt, settle after it, whatever becomes of the process between."""
