"""pfgov.scheduling."""
