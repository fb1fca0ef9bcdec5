"""A twin of the Ploomes CRM: a local server that answers like the vendor's public API, faults included.

It is not Ploomes, and it proves nothing about Ploomes by itself: it is built from what could be read in public about API v2.
Every behaviour's docstring says how well it is known: *verified* (seen in a public source of the API), *one source*
(one integrator's notes), or *our reading* (nothing public says; the strictest simple guess).
"""
