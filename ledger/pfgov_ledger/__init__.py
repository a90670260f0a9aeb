"""The ledger package: everything an auditor needs, readable alone."""
