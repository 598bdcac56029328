"""What can go wrong, as one small tree; each kind has one exit code and one HTTP status.

::

    FlatfareError
    ├── BadInput          what was given cannot be read       exit 1, 400
    │   └── Contradiction two figures given cannot both hold  exit 1, 422
    ├── BadUsage          the command or call is wrong        exit 2, 400
    ├── LimitExceeded     a budget or limit was exceeded      exit 3, 429
    ├── NotAuthorised     the credential does not allow it    exit 4, 403
    ├── NotFound          nothing by that name or id          exit 1, 404
    ├── Conflict          it exists already, and differs      exit 1, 409
    └── StoreFailure      the book or the lake failed         exit 1, 503
"""


class FlatfareError(Exception):
    """Something the user can act on: says what was found, what was expected, what to do."""

    exit_code = 1
    http_status = 500


class BadInput(FlatfareError):
    """What was given cannot be read as what it should be."""

    http_status = 400


class Contradiction(BadInput):
    """Two figures that were given cannot both be true."""

    http_status = 422


class BadUsage(FlatfareError):
    """The command, option or call is wrong."""

    exit_code = 2
    http_status = 400


class LimitExceeded(FlatfareError):
    """A budget or a limit would be exceeded."""

    exit_code = 3
    http_status = 429


class NotAuthorised(FlatfareError):
    """The credential does not allow this."""

    exit_code = 4
    http_status = 403


class NotFound(FlatfareError):
    """Nothing is known by that name or id."""

    http_status = 404


class Conflict(FlatfareError):
    """It exists already, and it differs."""

    http_status = 409


class StoreFailure(FlatfareError):
    """The book or the lake could not be read or written."""

    http_status = 503
