"""Clock, errors, settings rows, outbound guard: what every room stands on. No models, no web framework."""
