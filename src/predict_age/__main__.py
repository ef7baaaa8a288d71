"""Entry point of the program and of ``python -m predict_age``: signal handlers and workers, before the command line is imported."""

from __future__ import annotations

import sys

from predict_age.runtime.import_blocking import block_unused_imports
from predict_age.runtime.signals import check, exit_code, install_handlers, requested_stop
from predict_age.runtime.standard_files import open_standard_files

WITH_WORKERS = ("run", "resume")


def main() -> None:
    """Run the command line. For commands with workers, the fork server imports their modules in the background."""
    open_standard_files()
    install_handlers()
    block_unused_imports()
    try:
        if sys.argv[1:2] and sys.argv[1] in WITH_WORKERS and not {"-h", "--help"} & set(sys.argv):
            from predict_age.runtime.forkserver import prepare

            prepare()
        from predict_age.cli import run_cli

        check()  # raises a stop that waited for these imports
    except BaseException:
        if stop := requested_stop():
            sys.stderr.write("predict-age: stopped\n")
            raise SystemExit(exit_code(stop)) from None
        raise
    run_cli()


if __name__ == "__main__":
    main()
