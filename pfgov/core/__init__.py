"""The vocabulary and the rules, pure: commands, events, records, the state, what may happen and what it does.

Nothing here reads a clock, a disk, a network or a key, and nothing here imports a floor above it: judges and
schedulers come in through :mod:`pfgov.core.judging` and :mod:`pfgov.core.scheduler`.
"""
