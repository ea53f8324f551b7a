"""Run jobs in order, in this process or in several; ask them to stop, and they write a checkpoint first."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch

from dcdp.errors import DcdpError, StorageError
from dcdp.experiments.fold_job import FoldJob, run_job
from dcdp.interruption import Interruption

__all__ = ["Failure", "run_jobs"]

_THREAD_VARIABLES = ("MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_REPORT_EVERY_S = 0.5
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
    StorageError
        If the system ended a process, most often for want of memory.
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
    context = get_context("spawn")
    threads, news, stop = max(1, torch.get_num_threads() // workers), context.Queue(), context.Event()
    waiting = list(range(len(jobs)))
    running: dict[int, Future[Outcome]] = {}
    pids: set[int] = set()
    with (
        _thread_variables(threads), Interruption() as interruption,
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin_process, initargs=(threads, news, stop, os.getpid())
        ) as pool,
    ):  # fmt: skip
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    number = waiting.pop(0)
                    if not unwanted(jobs[number]):
                        running[number] = pool.submit(_run_in_process, number, jobs[number])
                _hear(news, pids, jobs, step)
                for number in [number for number, future in running.items() if future.done()]:
                    done(jobs[number], _outcome(running.pop(number)))
                if interruption.asked:
                    raise KeyboardInterrupt
        except BaseException:
            stop.set()
            _stop(running, news, pids, jobs, step)
            raise


def _stop(
    running: dict[int, Future[Outcome]], news: Any, pids: set[int], jobs: Sequence[FoldJob], step: Step
) -> None:
    """Ask every process to stop, and wait until all have: training writes its checkpoint, anything else just ends."""
    asked: set[int] = set()
    while not all(future.done() for future in running.values()):
        for pid in pids - asked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            asked.add(pid)
        _hear(news, pids, jobs, step)


def _outcome(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool as err:
        raise StorageError(
            "a process must live until its work is done", "one that the system ended, perhaps for want of memory",
            "Give fewer --workers and start again: finished folds are kept.",
        ) from err  # fmt: skip


def _hear(news: Any, pids: set[int], jobs: Sequence[FoldJob], step: Step) -> None:
    """Pass on what the processes say, until they are silent for a moment."""
    wait_s = 0.2
    while True:
        try:
            pid, number, *told = news.get(timeout=wait_s)
        except queue.Empty:
            return
        pids.add(pid)
        step(jobs[number], *told)
        wait_s = 0.0


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


_process: tuple[Any, Any] | None = None
"""Of a process of the pool: where it tells its news, and the event that asks it to stop."""


def _begin_process(threads: int, news: Any, stop: Any, parent: int) -> None:
    global _process
    _process = news, stop
    news.cancel_join_thread()
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent passes it on
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    """Stop, after a checkpoint, once the parent is gone: a pool whose parent was killed would work on unheard."""
    while os.getppid() == parent:
        time.sleep(_WATCH_EVERY_S)
    while True:  # the first may only end a training; the next then ends the process
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_WATCH_EVERY_S)


def _run_in_process(number: int, job: FoldJob) -> Outcome:
    assert _process is not None
    news, stop = _process
    if stop.is_set():
        raise KeyboardInterrupt
    told_at = 0.0

    def report(done: int, total: int, text: str) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _REPORT_EVERY_S or done == total:
            news.put((os.getpid(), number, done, total, text))
            told_at = time.monotonic()

    report(0, 1, "")
    return _attempt(job, report)
