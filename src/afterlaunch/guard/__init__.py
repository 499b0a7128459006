"""The guard: policies of routes, what gateways counted of them, who approves what is held, judges, pages."""
