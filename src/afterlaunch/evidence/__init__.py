"""The tamper-evident log under both spines."""
