"""OpenTelemetry in, calls and rollups out."""
