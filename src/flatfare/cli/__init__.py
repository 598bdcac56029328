"""The command line: one file per noun, found by its name.

A command's module is imported only when it is run or listed, so that
``flatfare --help`` answers in a tenth of a second.
"""

import sys

from flatfare.cli.root import root
from flatfare.core.errors import FlatfareError


def main() -> None:
    """Run the command line; the outermost door, where an error becomes one line and an exit code."""
    from flatfare.cli.output import complain

    try:
        root.main(prog_name="flatfare", standalone_mode=True)
    except FlatfareError as problem:
        complain(str(problem))
        sys.exit(problem.exit_code)
    except BrokenPipeError:  # the reader of our output went away: `flatfare report | head`
        sys.stderr.close()
        sys.exit(0)
