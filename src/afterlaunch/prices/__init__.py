"""Dated, conditional prices of model calls, as exact decimals."""
