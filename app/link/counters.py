"""What one link has counted since its start; metrics are made of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Plain numbers, each written by one thread only."""

    #: Sessions opened, and connections refused by HTTP status 401, 410, 503.
    sessions: int = 0
    refused: int = 0
    #: Frames, events and gaps stored; batches acknowledged.
    records: int = 0
    batches: int = 0
    #: Records that no runtime could have meant: malformed, or of a charger that is not its own.
    malformed: int = 0
    foreign: int = 0
    #: Records that PostgreSQL refused even escaped.
    lost: int = 0
    #: Frames that runtimes gave up because their buffer was full.
    gaps: int = 0
    #: Reports written, and those of sessions that had ended.
    reports: int = 0
    fenced: int = 0
    admissions: int = 0
    drops: int = 0
    commands: int = 0
    #: Writes that had to be tried again because the database was away: of records, of everything else.
    retries: int = 0
    control_retries: int = 0
    #: Messages that could not be read at all.
    unreadable: int = 0
