"""Schedulers: they rank the members that policy found eligible, and decide nothing else.

:mod:`pfgov.core.scheduler` is the contract, :mod:`pfgov.scheduling.registry` finds a scheduler by
name, :mod:`pfgov.scheduling.draws` turns scores into a choice.  ``docs/reference/schedulers.md``
states every formula, hash and byte, so that a choice can be recomputed without this package.

Nothing here knows policy, storage or time.
"""
