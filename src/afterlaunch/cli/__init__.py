"""The command line: parses flags, speaks to the product."""
