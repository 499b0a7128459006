"""Processors, GPUs, queues, databases, throughput and dependencies: judges of their figures, and their page."""
