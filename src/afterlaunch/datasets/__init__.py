"""Data contracts of systems: their versions, the batches that were checked by them, and what is judged of both."""
