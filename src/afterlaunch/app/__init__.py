"""The assembly: settings, urls, the explicit lists, the server."""
