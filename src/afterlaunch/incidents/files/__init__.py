"""Files that belong to an incident: kept by their hash, checked, and handed out only as attachments."""
