"""A twin of the Omie ERP: a local server that answers like the vendor's JSON API, limits and faults included.

It is not Omie, and it proves nothing about Omie by itself. Every behaviour's docstring says how well it is known: *verified*
(the vendor's own field descriptions and help pages, or answers of real accounts that their owners published), *one source*
(one integrator's notes), *from memory*, or *our reading* (nothing public says; the strict simple guess).

Traps that a client must know, each explained where it is built: the same call within a minute is refused (`limits`); ten
faults of a method, "not found" and "no records" among them, block it for half an hour (`limits`); two writes of one method
never run at once (`limits`); an unknown tag is refused (`structures`); an empty page is a fault (`paging`); a consulted order
lacks whatever is empty or zero, and a cancelled one keeps its stage (`orders`); without flags, orders are listed by their
forecast date (`paging`); nothing guards an order that changed meanwhile (`amending`).
"""
