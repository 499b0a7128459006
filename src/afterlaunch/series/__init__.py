"""Anomalies in one time series: streaming, causal, from saved state. Pure."""
