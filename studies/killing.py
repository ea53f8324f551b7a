"""Kill a real process at random moments and look at what it leaves: the harness of the `kill_*` studies."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

__all__ = ["kill_at_random_moments", "time_whole_run"]

Outcome = dict[str, object]


def time_whole_run(command: Sequence[str], environment: dict[str, str] | None = None) -> float:
    """Return how long the command takes when it is left alone [s]; it must succeed."""
    started = time.perf_counter()
    subprocess.run(command, env=_environment(environment), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def kill_at_random_moments(
    command: Sequence[str],
    n_kills: int,
    longest_s: float,
    look: Callable[[int], Outcome],
    *,
    seed: int = 0,
    environment: dict[str, str] | None = None,
    marker: Path | None = None,
) -> list[Outcome]:
    """Run a command again and again, ``kill -9`` each run at a random moment, and look.

    Parameters
    ----------
    longest_s
        The moments are spread evenly, one at random in each of ``n_kills`` equal slices of ``[0, longest_s)`` [s].
        A run that was done before its moment is looked at too, and another is killed in its place.
    look
        Called with the number of the kill when the process is dead; returns what it found.
    marker
        A file that the command makes when its work begins: moments count from then, so that the start of the
        interpreter is not what gets killed.

    Returns
    -------
    list
        One a kill: ``after_s``, ``killed`` (False where the run was done before) and what ``look`` found.
    """
    rng = np.random.default_rng(seed)
    outcomes: list[Outcome] = []
    n_killed = 0
    for low in rng.permutation(n_kills).tolist():
        for attempt in range(100):
            # Later attempts anywhere: the last slices may lie behind the end of every run.
            after_s = (low + rng.random()) * longest_s / n_kills if attempt == 0 else rng.random() * longest_s
            killed = _run_and_kill(command, after_s, environment, marker)
            outcomes.append({"after_s": round(after_s, 4), "killed": killed, **look(n_killed)})
            if killed:
                n_killed += 1
                break
    return outcomes


def _run_and_kill(
    command: Sequence[str], after_s: float, environment: dict[str, str] | None, marker: Path | None
) -> bool:
    """Start the command and kill it; False if it was done before."""
    if marker is not None:
        marker.unlink(missing_ok=True)
    with subprocess.Popen(
        command, env=_environment(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as run:
        while marker is not None and not marker.exists() and run.poll() is None:
            time.sleep(0.001)
        try:
            run.wait(after_s)
        except subprocess.TimeoutExpired:
            run.kill()
        _, said = run.communicate()
    if run.returncode > 0:
        raise RuntimeError(f"the command failed by itself: {said.decode(errors='replace')[-2000:]}")
    return run.returncode < 0


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"} | (more or {})
