"""What operators ask for: each question on a page, in the API, and as a file."""
