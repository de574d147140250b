"""app.link: the side door that runtimes dial in to (docs/link.md is the protocol).

Read `server` (who is let in), then `sessions` (one connection), `lookout` (what the database says that sessions
should do), `control` (what runtimes tell of themselves) and `writer` (their frames). The event loop runs no SQL:
statements run in small thread pools, frames in a thread of their own, so that neither waits for the other.

`run(settings)` serves until SIGTERM.
"""

from app.link.server import run

__all__ = ["run"]
