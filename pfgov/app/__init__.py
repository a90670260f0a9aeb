"""The use cases, once: what can be read of a ledger and done with it, wherever it lies.

A door (command line, HTTP, console) parses and prints; what it asks is said here, against one port with two sides:
:mod:`pfgov.app.local` over a folder, :mod:`pfgov.app.remote` over a server.  Nothing here knows a route or a screen.
"""
