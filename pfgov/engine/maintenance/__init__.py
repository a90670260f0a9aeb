"""What is done to a whole ledger: key ceremonies, erasure, checks of health."""
