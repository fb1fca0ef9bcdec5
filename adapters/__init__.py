"""The outside world: ports by role, errors by consequence, one HTTP client, and a folder a system.

This room imports `events` only.
"""
