"""Predictions in, as profiles of five minutes; hours judged against a reference, and pages that show why."""
