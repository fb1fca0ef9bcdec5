"""What happened: the common language, the catalogue of events, the journal and its queues.

This room imports nothing of `adapters` and `workers`.
"""
