"""pfgov.storage."""
