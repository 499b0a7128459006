"""What secrets and personal data look like, wherever text is kept or let through."""
