"""Where a ledger lives on disk: one SQLite file, a head lock beside it, one writer at a time.

Storage keeps bytes and hands them back.  It knows neither policies nor schedulers, and nothing of what an entry means.
"""
