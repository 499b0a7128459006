"""Runbooks: what to look at, what to do, when to escalate; one for each kind of incident, in versions."""
