"""The embedded default: PostgreSQL, Valkey and our own programs as children of `gateway up`.

Read `stack` first (what `up` does, in order), then `supervisor` (the loop) and `guard` (what happens when the
supervisor itself is killed). `postgres` and `valkey` know one server each; `folders`, `accounts`, `binaries`,
`locking` and `credentials` prepare the ground; `processes` starts and ends children; `state`, `status`, `demo`
and `backup` are for people. Nothing here imports the programs that it starts: they are exec'd.
"""
