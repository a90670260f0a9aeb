"""A root over many ledgers: one log of their checkpoints, so that one registration with a witness serves them all.

``folder`` makes a root and goes through one, ``feeding`` takes what a ledger says now, ``proving`` gives paths,
``keeping`` does it all again and again for a server.  Nothing here knows HTTP.
"""
