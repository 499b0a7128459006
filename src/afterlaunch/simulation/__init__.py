"""Months of operation in virtual time against the real product, and the proof that it lost nothing.

The parent process is the outside world: virtual clock, senders of alerts, providers, responders. The product runs in a
child process on a database file and is spoken to over a socket; it is killed at random statements and started again.
"""
