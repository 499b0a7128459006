"""Django's backend for SQLite, which keeps what it has read of a statement: its text for the driver, and its plan."""
