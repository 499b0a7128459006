"""Metrics and logs: OTLP in all its forms, Prometheus remote write, and the questions asked of them."""
