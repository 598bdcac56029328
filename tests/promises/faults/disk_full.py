"""While a file ``disk-full`` stands beside the book, the journal's disk has no room: half a write at most."""

import errno
import os

_write, _open = os.write, os.open


def _is_full(path):
    return "/journal/" in path and os.path.exists(os.path.join(path.split("/journal/")[0], "disk-full"))


def _write_on_a_full_disk(handle, data):
    if _is_full(os.readlink(f"/proc/self/fd/{handle}")):
        if len(data) > 1 and len(data) % 2:
            return _write(handle, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _write(handle, data)


def _open_on_a_full_disk(path, flags, *more, **named):
    if flags & os.O_CREAT and _is_full(os.fspath(path)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _open(path, flags, *more, **named)


os.write, os.open = _write_on_a_full_disk, _open_on_a_full_disk
