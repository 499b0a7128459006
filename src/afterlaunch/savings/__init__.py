"""What could be saved: found in the telemetry, decided by people, and then measured."""
