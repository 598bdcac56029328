"""The process over the others: it binds the address, starts workers and the bookkeeper, and starts them anew.

It holds no client's connection and no journal: it may die at any moment, and its
children, seeing that, finish what is under way and end.
"""

import asyncio
import gc
import os
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from flatfare.config import Settings
from flatfare.core.errors import FlatfareError
from flatfare.gateway.bookkeeping import run_booking
from flatfare.gateway.folders import journal_folder
from flatfare.gateway.giving_way import give_way
from flatfare.gateway.limiter import SharedCounts
from flatfare.gateway.relay import Relay
from flatfare.gateway.reserving.treasurer import Treasurer, claimed
from flatfare.gateway.server import BACKLOG, bound, is_loopback
from flatfare.gateway.worker import Worker
from flatfare.service.alerts.sending import Page
from flatfare.service.costing.pricing import open_price_book
from flatfare.store.book import open_book

BOOKKEEPER, PAGES, TREASURER = -1, -2, -3
_WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)
SWITCH_S = 0.0005
"""A worker's journal has a thread of its own: what it synced must not wait 5 ms for its turn to say so."""

GIVE_WAY = {BOOKKEEPER: 14, PAGES: 10}
"""Booking and pages may wait a little where they share a core with a worker: a call may not. Steps of nice.

Where all is on one core and booking catches up, the gateway adds 2.9 ms to a call in the 99th percentile;
it was 4.2 with 10 steps and slices of the usual length (bench/gateway.py, 2026-11)."""

GARBAGE_MIN = 20_000
"""A call makes many objects and no circles: the search for circles is worth its time less often."""

STAY = ("listen", "database", "lake", "journal", "journal_sync", "heads", "heads_key")
"""Settings that are read at a start alone: where things are kept does not move under those who keep them."""

PAGES_SOCKET = "pages.sock"
RESTART_S_MAX = 10.0
LIVED_S_MIN = 5.0
"""A child that lived shorter is started anew only after a pause, which doubles."""

Say = Callable[[str], None]
Load = Callable[[], Settings]
Pages = Callable[[Settings, socket.socket, int], None]
"""Serves pages and API at a socket until told to end by SIGTERM, or until the pipe given ends."""


@dataclass(slots=True)
class _Child:
    number: int  # of the worker, or BOOKKEEPER or PAGES
    started: float
    pause_s: float = 0.0
    is_told: bool = False  # to end, so that it is started with other settings


class Supervisor:
    """Keeps as many workers as asked for, and one bookkeeper."""

    def __init__(
        self,
        settings: Settings,
        load: Load,
        *,
        workers: int,
        say: Say,
        pages: Pages | None = None,
        page: Page | None = None,
    ) -> None:
        self._settings = settings
        self._load = load
        self._workers = workers
        self._say = say
        self._pages = pages
        self._page = page
        self._pages_socket: socket.socket | None = None
        self._children: dict[int, _Child] = {}
        self._due: list[tuple[float, _Child]] = []
        self._is_stopping = False
        self._socket: socket.socket | None = None
        self._counts = SharedCounts(workers)
        self._folder = Path(tempfile.mkdtemp(prefix="flatfare-serve-"))  # mode 0700
        self._life, self._end = os.pipe()
        """Children hold the end that reads: it says so when this process is gone."""

    def run(self, announce: Callable[[str], None]) -> int:
        """Serve until told to stop; ``announce`` gets the address once it is bound. Returns the exit code."""
        _raise_open_files()
        self._socket = bound(self._settings.listen)
        try:
            open_book(self._settings.database).close()
            open_price_book(self._settings)  # read once: the children share its memory
            gc.collect()
            gc.freeze()  # what is there now stays: children need not look through it, nor copy its pages
            signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
            for signum in _WATCHED:
                signal.signal(signum, _noted)
            self._bind_pages()
            announce(_address(self._socket))
            beside = [BOOKKEEPER, TREASURER, *([] if self._pages is None else [PAGES])]
            for number in (*beside, *range(self._workers)):
                self._start(_Child(number, time.monotonic()))
            self._watch()
        finally:
            self._socket.close()
            if self._pages_socket is not None:
                self._pages_socket.close()
            shutil.rmtree(self._folder, ignore_errors=True)
        return 0

    def _bind_pages(self) -> None:
        """The socket of pages and API outlives the process that serves it: who asks meanwhile waits."""
        if self._pages is not None:
            self._pages_socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._pages_socket.bind(str(self._folder / PAGES_SOCKET))
            self._pages_socket.listen(BACKLOG)
            self._pages_socket.setblocking(False)

    def _watch(self) -> None:
        while self._children or not self._is_stopping:
            signum = signal.sigwait(_WATCHED)
            if signum == signal.SIGHUP:
                self._reload()
            elif signum in (signal.SIGTERM, signal.SIGINT):
                self._stop()
            self._reap()
            self._start_due()

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is not None:
                self._ended(child, pid, os.waitstatus_to_exitcode(status))

    def _ended(self, child: _Child, pid: int, code: int) -> None:
        name = _name(child.number)
        if child.number >= 0:
            self._counts.forget_worker(child.number)
        if self._is_stopping:
            if not self._of_workers():
                self._signal(PAGES)
                self._signal(TREASURER)
                self._signal(BOOKKEEPER)  # last, so that it books what the workers wrote last
            return
        if child.is_told:
            self._start(_Child(child.number, time.monotonic()))
            return
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        lived_s = time.monotonic() - child.started
        pause_s = 0.0 if lived_s > LIVED_S_MIN else min(max(0.2, child.pause_s * 2), RESTART_S_MAX)
        self._say(
            f"The {name} (process {pid}) {how}; it is started anew{f' in {pause_s:g} s' if pause_s else ''}."
        )
        self._due.append((time.monotonic() + pause_s, _Child(child.number, 0.0, pause_s)))

    def _start_due(self) -> None:
        now = time.monotonic()
        due = [child for at, child in self._due if at <= now and not self._is_stopping]
        self._due = [] if self._is_stopping else [(at, child) for at, child in self._due if at > now]
        for child in due:
            child.started = now
            self._start(child)
        if self._due:
            signal.setitimer(signal.ITIMER_REAL, max(0.01, min(at for at, _ in self._due) - now))

    def _start(self, child: _Child) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = child
            return
        code = 1
        try:
            os.close(self._end)
            for signum in _WATCHED:
                signal.signal(signum, signal.SIG_DFL)
            if child.number in GIVE_WAY:
                give_way(GIVE_WAY[child.number])
            if child.number == BOOKKEEPER:
                self._close_sockets(self._socket, self._pages_socket)
                code = _keep_book(self._settings, self._life, self._say, self._page)
            elif child.number == PAGES:
                self._close_sockets(self._socket)
                code = self._serve_pages()
            elif child.number == TREASURER:
                self._close_sockets(self._socket, self._pages_socket)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(_hold_budgets(self._settings, self._life))
                code = 0
            else:
                self._close_sockets(self._pages_socket)
                code = self._work(child.number)
        except FlatfareError as problem:
            self._say(str(problem))
        except BaseException:  # noqa: BLE001 - the outermost door of a child: it must not live on as its parent
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _serve_pages(self) -> int:
        assert self._pages is not None
        assert self._pages_socket is not None
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: this one ends after the workers
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        self._pages(self._settings, self._pages_socket, self._life)
        return 0

    @staticmethod
    def _close_sockets(*sockets: socket.socket | None) -> None:
        for one in sockets:
            if one is not None:
                one.close()

    def _work(self, number: int) -> int:
        assert self._socket is not None
        sys.setswitchinterval(SWITCH_S)
        gc.set_threshold(GARBAGE_MIN)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(self, number, self._socket))
        return 0

    def _reload(self) -> None:
        try:
            found = self._load()
        except FlatfareError as problem:
            self._say(f"The settings stay as they were: {problem}")
            return
        stays = [name for name in STAY if getattr(found, name) != getattr(self._settings, name)]
        self._settings = _as_far_as_may_be(self._settings, found)
        self._say("Reading the settings anew; calls under way keep the old ones.")
        if stays:
            self._say(f"Until the next start these stay as they were: {', '.join(stays)}.")
        for pid in self._of_workers():
            os.kill(pid, signal.SIGHUP)
        for pid, child in self._children.items():
            if child.number in (PAGES, BOOKKEEPER):  # they end, and are started with the new settings
                child.is_told = True
                os.kill(pid, signal.SIGTERM)

    def _stop(self) -> None:
        workers = self._of_workers()
        if self._is_stopping:
            self._say("Stopping at once: calls under way are broken off.")
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            return
        self._is_stopping = True
        self._say("Stopping: calls under way are finished first. Once more to stop at once.")
        if self._socket is not None:
            self._socket.close()
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        if not workers:
            self._signal(PAGES)
            self._signal(TREASURER)
            self._signal(BOOKKEEPER)

    def _of_workers(self) -> list[int]:
        return [pid for pid, child in self._children.items() if child.number >= 0]

    def _signal(self, number: int) -> None:
        """Ask one that stands beside the workers to end."""
        for pid, child in self._children.items():
            if child.number == number:
                os.kill(pid, signal.SIGTERM)


def _as_far_as_may_be(before: Settings, found: Settings) -> Settings:
    """New settings, but for those that a gateway which runs cannot change."""
    return replace(found, **{name: getattr(before, name) for name in STAY})


async def _serve(supervisor: Supervisor, number: int, sock: socket.socket) -> None:
    """A worker's life."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    settings = supervisor._settings
    worker = Worker(
        settings,
        is_loopback=is_loopback(sock.getsockname()[0]),
        counts=supervisor._counts,
        number=number,
        elsewhere=None if supervisor._pages is None else Relay(supervisor._folder / PAGES_SOCKET),
        figures=supervisor._folder,
    )
    await worker.open()

    def reload() -> None:
        try:
            worker.take_settings(_as_far_as_may_be(settings, supervisor._load()))
        except FlatfareError as problem:
            supervisor._say(f"The settings stay as they were: {problem}")

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    loop.add_reader(supervisor._life, stop.set)
    await worker.listen(sock)
    await stop.wait()
    loop.remove_reader(supervisor._life)
    await worker.stop()


async def _hold_budgets(settings: Settings, life: int) -> None:
    """The treasurer's life; another one of this node is waited for."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    for signum in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C reaches all: this one ends after the workers
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    loop.add_reader(life, stop.set)
    folder = journal_folder(settings)
    claim = claimed(folder)
    while claim is None and not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)
        claim = claimed(folder)
    if not stop.is_set():
        treasurer = Treasurer(settings)
        await treasurer.serve()
        await stop.wait()
        await treasurer.close()
    loop.remove_reader(life)


def _keep_book(settings: Settings, life: int, say: Say, page: Page | None) -> int:
    """The bookkeeper's life."""
    stop = threading.Event()
    told, tell = os.pipe()

    def pass_on(signum: int, frame: object) -> None:
        # Not the event itself: the thread that is interrupted here may hold its lock, waiting for it.
        os.write(tell, b"!")

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: this one ends after the workers
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    threading.Thread(target=_wait_for_end, args=((life, told), stop), daemon=True).start()
    run_booking(settings, stop, say, page=page, makes_book=False)  # the supervisor has made it
    return 0


def _wait_for_end(pipes: tuple[int, ...], stop: threading.Event) -> None:
    """Wait until something comes by one of these pipes, or the supervisor's end of it is gone.

    All children share one of them, and a worker's event loop has made it one that does not
    block: a plain read would fail instead of waiting.
    """
    waiting = select.poll()
    for pipe in pipes:
        waiting.register(pipe, select.POLLIN)
    waiting.poll()
    stop.set()


def _noted(signum: int, frame: object) -> None:
    """Signals are waited for, not handled; a handler keeps them from being ignored."""


def _name(number: int) -> str:
    beside = {BOOKKEEPER: "bookkeeper", PAGES: "process of pages", TREASURER: "treasurer"}
    return beside.get(number, f"worker {number + 1}")


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _raise_open_files() -> None:
    """As many connections as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 1 << 20)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
