"""The console: pages for people over the same operations as the API, served by the same process.

A page asks operations by name, as whoever is signed in, and draws what they answer; a button runs one.  Nothing here
decides who may what: :mod:`pfgov_api.dispatcher` does, and :mod:`pfgov.app.visibility`.
"""
