"""What each tool sends, read into one shape. Pure: no framework, no store."""
