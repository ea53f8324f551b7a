"""Run jobs in order, in this process or in several; ask them to stop, and they write a checkpoint first."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

import torch

from dcdp.errors import DcdpError
from dcdp.experiments.fold_job import FoldJob, run_job
from dcdp.interruption import Interruption

__all__ = ["Failure", "run_jobs"]

_THREAD_VARIABLES = ("MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_REPORT_EVERY_S = 0.5
_HEAR_EVERY_S = 0.2
_WATCH_EVERY_S = 1.0


@dataclass(frozen=True)
class Failure:
    """Why a job did not finish: one line for people, and the traceback of what nobody expected."""

    message: str
    trace: str = ""


Outcome = dict[str, Any] | Failure
Step = Callable[[FoldJob, int, int, str], None]
Done = Callable[[FoldJob, Outcome], None]


def run_jobs(
    jobs: Sequence[FoldJob], workers: int, step: Step, done: Done, unwanted: Callable[[FoldJob], bool]
) -> None:
    """Run jobs, each first come first served.

    Parameters
    ----------
    jobs
        In order.
    workers
        How many run at a time; 1 runs them in this process.
    step
        Called as ``step(job, steps_done, steps, text)`` now and then.
    done
        Called as ``done(job, outcome)`` when a job has finished or failed.
    unwanted
        Asked before a job begins: True leaves it out.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, once every job has written its checkpoint.
    """
    if workers > 1 and len(jobs) > 1:
        _run_in_processes(jobs, min(workers, len(jobs)), step, done, unwanted)
        return
    with _stoppable():
        for job in jobs:
            if not unwanted(job):
                done(job, _attempt(job, partial(step, job)))


def _attempt(job: FoldJob, report: Callable[[int, int, str], None]) -> Outcome:
    """Run a job; what breaks one must not stop the others."""
    try:
        return run_job(job, report)
    except DcdpError as err:
        return Failure(str(err))
    except Exception as err:
        return Failure(f"{type(err).__name__}: {' '.join(str(err).split())[:300]}", traceback.format_exc())


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM interrupt like Ctrl-C: outside of training there is no checkpoint to write."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_in_processes(
    jobs: Sequence[FoldJob], workers: int, step: Step, done: Done, unwanted: Callable[[FoldJob], bool]
) -> None:
    waiting = list(reversed(jobs))
    crew: dict[Connection, _Worker] = {}
    threads = max(1, torch.get_num_threads() // workers)
    with _thread_variables(threads), Interruption() as interruption:
        try:
            while waiting or any(worker.job for worker in crew.values()):
                while len(crew) < workers:
                    worker = _hire(threads)
                    crew[worker.line] = worker
                for worker in crew.values():
                    while worker.job is None and waiting:
                        worker.begin(waiting.pop(), unwanted)
                for line in wait(list(crew), timeout=_HEAR_EVERY_S):
                    _hear(crew, cast("Connection", line), step, done)
                if interruption.asked:
                    raise KeyboardInterrupt
        finally:
            _dismiss(crew.values())


def _hear(crew: dict[Connection, _Worker], line: Connection, step: Step, done: Done) -> None:
    """Pass on what a process says; one that has died is replaced, and only its job has failed."""
    worker = crew[line]
    try:
        told = line.recv()
    except (EOFError, OSError):
        worker.process.join()
        del crew[line]
        told = Failure("the system ended its process, perhaps for want of memory: give fewer --workers")
    if worker.job is None:
        return
    if isinstance(told, tuple):
        step(worker.job, *told)
        return
    job, worker.job = worker.job, None
    done(job, told)


def _dismiss(crew: Iterable[_Worker]) -> None:
    """Ask every process to stop, and wait: training writes its checkpoint first, anything else just ends."""
    for worker in crew:
        worker.process.terminate()
    for worker in crew:
        while worker.process.is_alive():
            with suppress(EOFError, OSError):
                while worker.line.poll(_HEAR_EVERY_S):  # it must not wait for somebody to read
                    worker.line.recv()
        worker.line.close()
        worker.process.join()


@dataclass
class _Worker:
    """A process, the line to it (each has its own: nothing is shared that a dying one could hold), and its job."""

    process: BaseProcess
    line: Connection
    job: FoldJob | None = None

    def begin(self, job: FoldJob, unwanted: Callable[[FoldJob], bool]) -> None:
        if not unwanted(job):
            self.job = job
            with suppress(OSError):  # it has died since: that is heard on the line
                self.line.send(job)


def _hire(threads: int) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, threads, os.getpid()))
    process.start()
    theirs.close()  # so that the end of the process is the end of the line
    return _Worker(process, ours)


@contextmanager
def _thread_variables(threads: int) -> Iterator[None]:
    """Tell the libraries of the processes to come, which read it once, how many threads each may have."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(line: Connection, threads: int, parent: int) -> None:
    """Run the jobs that come in, until there are no more; what a process of a pool does."""
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent passes it on
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    told_at = 0.0

    def report(done: int, total: int, text: str) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _REPORT_EVERY_S or done == total:
            with suppress(OSError):  # nobody listens any more: the watch will end this process
                line.send((done, total, text))
            told_at = time.monotonic()

    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            job: FoldJob = line.recv()
            line.send((0, 1, ""))
            line.send(_attempt(job, report))


def _watch(parent: int) -> None:
    """Stop, after a checkpoint, once the parent is gone: a process whose parent was killed would work on unheard."""
    while os.getppid() == parent:
        time.sleep(_WATCH_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
