"""The deterministic simulator: the same engine, on a real store, with a clock turned by hand.

A history is a list of steps drawn from a seed.  Members are simulated processes that pause, die, come back and write
late; messages are dropped, repeated and reordered; storage calls fail before or after they took effect; the engine is
killed and opened again.  After every step the promises of ``ARCHITECTURE.md`` are checked against a second,
independent reading of the ledger.  The same seed gives the same history on every machine.
"""
