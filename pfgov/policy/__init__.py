"""pfgov.policy."""
