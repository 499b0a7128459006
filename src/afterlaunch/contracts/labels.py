"""Names by which telemetry tells our own traffic from that of users."""

from __future__ import annotations

PROBE_AGENT = "afterlaunch-probes"
"""The agent of golden prompts. What users got is judged without its calls; what was spent is counted with them."""
SHADOW_ARM = "shadow"
"""The arm of copies that a candidate answered for nobody. They count in what was spent, and nowhere else."""
