"""The fault harness: real processes, real faults, seeded; and what must hold afterwards.

`traffic` places orders as clients do, `faults` hurts the parts, `invariants` asks the database and the CSMS's own
books, `harness` puts them together (`python -m tests.chaos.harness --help`, `make chaos`).
"""
