"""What is out of the ordinary over time: volume, and series of spend, calls, errors and latency."""
