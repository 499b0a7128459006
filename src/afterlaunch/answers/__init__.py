"""What a system's answers look like: descriptors of the texts that model calls gave, hour by hour, against a period."""
