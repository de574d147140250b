"""Runs a supervisor over shell scripts, for tests: `rehearsal <folder> <name>=<script>...`.

A program of its own, since a supervisor wants the main thread of a process without others. Each script is a
program, ready when the file `<name>.ready` is there. One whose name begins with `once-` is run to its end first;
one that begins with `late-` is given up soon.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from app.embedded.errors import ProgramFailed
from app.embedded.programs import Program
from app.embedded.supervisor import StopRequested, Supervisor


def _make_program(folder: Path, name: str, script: str) -> Program:
    return Program(
        name,
        ("/bin/sh", "-c", script),
        {"PATH": "/usr/bin:/bin", "HERE": str(folder)},
        stop=((signal.SIGTERM, 0.3),),
        is_ready=lambda _: (folder / f"{name}.ready").exists(),
        ready_s=0.3 if name.startswith("late-") else 30,
        mend=lambda lines: "It was mended." if lines[-1:] == ["mend me"] else None,
    )


def main() -> None:
    """Exit code 0: stopped on request; 1: a program failed, its sentence on standard error."""
    folder = Path(sys.argv[1])
    with Supervisor(folder) as supervisor:
        try:
            programs = [_make_program(folder, *text.split("=", 1)) for text in sys.argv[2:]]
            for program in programs:
                if program.name.startswith("once-"):
                    supervisor.run_once(program)
            supervisor.start(*(p for p in programs if not p.name.startswith("once-")))
            (folder / "all.ready").touch()
            supervisor.run()
        except ProgramFailed as failure:
            sys.stderr.write(f"{failure}\n")
            sys.exit(1)
        except StopRequested:
            sys.exit(0)


if __name__ == "__main__":
    main()
