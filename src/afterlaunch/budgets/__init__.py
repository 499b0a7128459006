"""Budgets: what calls of a scope may use in a window; what gateways counted, alerts, forecasts, pages."""
