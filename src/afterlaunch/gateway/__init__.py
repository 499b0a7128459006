"""The gateway: forwards bytes between systems and model providers, counts tokens, assigns arms, flips back in seconds.

Its own process. It goes on with its last good configuration when everything else of Afterlaunch is down.
"""
