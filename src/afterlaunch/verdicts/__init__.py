"""The words every judge speaks, and where their verdicts are kept."""
