"""Learning from an incident: a draft from its timeline, its approval, and actions that are followed until done."""
