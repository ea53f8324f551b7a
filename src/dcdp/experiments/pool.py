"""Run jobs in order, in this process or in several; ask them to stop, and they write a checkpoint first."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

import torch

from dcdp.allocator import keep_freed_memory
from dcdp.errors import DcdpError
from dcdp.interruption import Interruption

__all__ = ["Failure", "run_all", "run_jobs"]

_THREAD_VARIABLES = ("MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_REPORT_EVERY_S = 0.5
_HEAR_EVERY_S = 0.2
_WATCH_EVERY_S = 1.0

Arguments = tuple[Any, ...]
Work = Callable[..., Any]
"""Called as ``work(*arguments, report)``; a function of a module, so that another process can find it."""

Report = Callable[[int, int, str], None]
"""Called as ``report(steps_done, steps, text)``."""


@dataclass(frozen=True)
class Failure:
    """Why a job did not finish.

    Attributes
    ----------
    message, trace
        One line for people, and the traceback of what nobody expected.
    error
        The broken rule; None if the job failed in a way that nobody expected.
    """

    message: str
    trace: str = ""
    error: DcdpError | None = None


Step = Callable[[str, int, int, str], None]
Done = Callable[[str, Any], None]
Unwanted = Callable[[str], bool]


def run_jobs(
    work: Work,
    jobs: Mapping[str, Arguments],
    workers: int,
    step: Step,
    done: Done,
    unwanted: Unwanted = lambda _: False,
) -> None:
    """Run jobs, each first come first served; one that fails does not stop the others.

    Parameters
    ----------
    work
        What a job is.
    jobs
        Name -> arguments, in order. They may travel to another process: give names and settings, not data.
    workers
        How many run at a time; 1 runs them in this process. More are processes that share the threads that torch has
        here, each with as many whether all of them have a job or only one is left: figures depend on it in their last
        bits, and must not on what an interruption left to do.
    step
        Called as ``step(name, steps_done, steps, text)`` now and then.
    done
        Called as ``done(name, outcome)`` when a job has finished or failed: what it returned, or a `Failure`. One that
        finishes while the others are stopped counts as finished.
    unwanted
        Asked before a job begins: True leaves it out.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, once every job has written its checkpoint.
    """
    if workers > 1 and jobs:
        _run_in_processes(work, jobs, workers, step, done, unwanted)
        return
    with _stoppable():
        for name, arguments in jobs.items():
            if not unwanted(name):
                done(name, _attempt(work, arguments, partial(step, name)))


def run_all(
    work: Work, jobs: Mapping[str, Arguments], workers: int, reporters: Mapping[str, Report | None]
) -> dict[str, Any]:
    """Run jobs that only count together; return what each gives, by name.

    Parameters
    ----------
    work, jobs, workers
        As for `run_jobs`.
    reporters
        Name -> what is called with the steps of that job; None says nothing.

    Raises
    ------
    KeyboardInterrupt
        As `run_jobs`.
    DcdpError
        The first rule that a job finds broken; the other jobs are told to stop.
    RuntimeError
        The same for what nobody expected, with its traceback.
    """
    found: dict[str, Any] = {}

    def step(name: str, *news: Any) -> None:
        report = reporters.get(name)
        if report is not None:
            report(*news)

    def done(name: str, outcome: Any) -> None:
        if isinstance(outcome, Failure):
            raise outcome.error or RuntimeError(f"{outcome.message}\n{outcome.trace}".strip())
        found[name] = outcome

    run_jobs(work, jobs, workers, step, done)
    return {name: found[name] for name in jobs}


def _attempt(work: Work, arguments: Arguments, report: Report) -> Any:
    """Run a job; what breaks one must not stop the others."""
    try:
        return work(*arguments, report)
    except DcdpError as err:
        return Failure(str(err), error=err)
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
    work: Work, jobs: Mapping[str, Arguments], workers: int, step: Step, done: Done, unwanted: Unwanted
) -> None:
    waiting = list(jobs)[::-1]
    crew: dict[Connection, _Worker] = {}
    threads, size = max(1, torch.get_num_threads() // workers), min(workers, len(jobs))
    with _thread_variables(threads), Interruption() as interruption:
        try:
            while waiting or any(worker.job for worker in crew.values()):
                while len(crew) < size:
                    worker = _hire(threads)
                    crew[worker.line] = worker
                for worker in crew.values():
                    while worker.job is None and waiting:
                        name = waiting.pop()
                        if not unwanted(name):
                            worker.begin(name, work, jobs[name])
                for line in wait(list(crew), timeout=_HEAR_EVERY_S):
                    _hear(crew, cast("Connection", line), step, done)
                if interruption.asked:
                    raise KeyboardInterrupt
        finally:
            for name, outcome in _dismiss(crew.values()).items():
                done(name, outcome)


def _hear(crew: dict[Connection, _Worker], line: Connection, step: Step, done: Done) -> None:
    """Pass on what a process says; one that has died is replaced, and only its job has failed."""
    worker = crew[line]
    try:
        finished, told = line.recv()
    except (EOFError, OSError):
        worker.process.join()
        del crew[line]
        finished, told = True, Failure("the system ended its process, perhaps for want of memory: give fewer --workers")
    if worker.job is None:
        return
    if not finished:
        step(worker.job, *told)
        return
    job, worker.job = worker.job, None
    done(job, told)


def _dismiss(crew: Iterable[_Worker]) -> dict[str, Any]:
    """Ask every process to stop, and wait: training writes its checkpoint first, anything else just ends.

    Returns what the jobs gave that finished all the same, by name: their work is done and must not go unheard.
    """
    finished: dict[str, Any] = {}
    for worker in crew:
        worker.process.terminate()
    for worker in crew:
        with suppress(EOFError, OSError):  # the end of the process is the end of the line
            is_last = False
            while not is_last:  # it must not wait for somebody to read
                is_last, told = worker.line.recv()
            if worker.job is not None and not isinstance(told, Failure):
                finished[worker.job] = told
        worker.line.close()
        worker.process.join()
    return finished


@dataclass
class _Worker:
    """A process, the line to it (each has its own: nothing is shared that a dying one could hold), and its job."""

    process: BaseProcess
    line: Connection
    job: str | None = None

    def begin(self, job: str, work: Work, arguments: Arguments) -> None:
        self.job = job
        with suppress(OSError):  # it has died since: that is heard on the line
            self.line.send((work, arguments))


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
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent passes it on
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    told_at = 0.0

    def report(done: int, total: int, text: str) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _REPORT_EVERY_S or done == total:
            with suppress(OSError):  # nobody listens any more: the watch will end this process
                line.send((False, (done, total, text)))
            told_at = time.monotonic()

    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            work, arguments = line.recv()
            line.send((False, (0, 1, "")))
            line.send((True, _attempt(work, arguments, report)))


def _watch(parent: int) -> None:
    """Stop, after a checkpoint, once the parent is gone: a process whose parent was killed would work on unheard."""
    while os.getppid() == parent:
        time.sleep(_WATCH_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
