"""Every alteration of production: proposals, shares, containment, rollback."""
