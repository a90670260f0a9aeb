"""A ledger in a PostgreSQL database: the same engine, on a store that is replicated and that several machines reach."""
