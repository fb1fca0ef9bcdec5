"""Master data: customers and products kept alike on both sides, field by field, each field by its owner.

`intake` turns what a source shows into events; `drain` works them in batches: `survey` reads and matches both sides, `plan`
decides (pure), `guard` is the last gate before the wire, and everything is settled in one transaction.
"""
