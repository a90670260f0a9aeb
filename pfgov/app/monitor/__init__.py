"""Watching somebody's ledger over HTTP: what it shows must extend what it showed before, and mean what it says."""
