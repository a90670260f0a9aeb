"""Tests beside policies: cases, generated properties, coverage and their reports.

The runner loads policies exactly as the engine does; what passes here is what will be in force.
"""
