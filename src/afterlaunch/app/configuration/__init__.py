"""Declarative configuration: documents in, documents out."""
