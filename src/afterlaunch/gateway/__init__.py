"""Its own process between applications and model providers."""
