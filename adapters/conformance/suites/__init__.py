"""Every check of the kit, a file for each question."""

from adapters.conformance.suites import (
    corrections,
    creates,
    customers,
    deals,
    decisions,
    desk,
    feeds,
    ground,
    polls,
    readings,
    records,
    troubles,
)

ALL = (ground, troubles, creates, readings, corrections, decisions, polls, customers, deals, desk, feeds, records)
