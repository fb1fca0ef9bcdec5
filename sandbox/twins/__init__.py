"""What every twin is made of: rows that survive a kill, faults to order, and how a call suffers one.

A twin is a local server that answers like a vendor's public API. What is the vendor's stands in the twin's own package.
"""
