"""The program, which ``python -m predict_age`` starts, too: what comes before even the command line is imported."""

from __future__ import annotations

import sys

from predict_age.runtime.signals import asked, check, exit_code, listen

WITH_WORKERS = ("run", "resume")


def main() -> None:
    """Entry point. Where workers will be needed, their server imports what they need while this process does so for itself."""
    listen()
    try:
        if sys.argv[1:2] and sys.argv[1] in WITH_WORKERS and "--help" not in sys.argv:
            from predict_age.runtime.forkserver import prepare

            prepare()
        from predict_age.cli import main as command

        check()  # a stop may have waited for these imports
    except BaseException:
        if stop := asked():
            sys.stderr.write("predict-age: stopped\n")
            raise SystemExit(exit_code(stop)) from None
        raise
    command()


if __name__ == "__main__":
    main()
