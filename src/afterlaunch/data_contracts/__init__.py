"""Contracts of tables: inferred from data, written as YAML, checked record by record. Pure."""
