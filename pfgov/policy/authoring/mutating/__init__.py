"""Whether the tests beside policies would notice a mistake: mutants of a set, and what becomes of them."""
