"""What is tried from here (probes, golden prompts) and what must tell of itself (heartbeats); provider health."""
