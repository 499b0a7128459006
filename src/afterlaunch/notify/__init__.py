"""The outbox: nothing is notified from memory."""
