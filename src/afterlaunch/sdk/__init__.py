"""What an application imports. Nothing of the server."""
