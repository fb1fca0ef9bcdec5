"""Chaos: many orders and records at a time on real processes, while they are killed, frozen, starved and lied to.

    people   cases.py     what salespeople and finance do, hundreds of cases at a time, each with what must be so in the end
    fleet    world.py     twins, broker, journal, workers and gateway as processes of one world
    faults   mischief.py  what befalls them, drawn from one seed
    proof    judge.py     both systems and the journal, read to the last row when all is quiet
    play.py               the whole: load, storm, calm, verdict

Nothing of the bridge is replaced: it runs as it is shipped.
"""
