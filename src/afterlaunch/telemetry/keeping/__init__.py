"""Keeping and forgetting: what content is captured, what is masked before it is written, how long things stay."""
