"""The command's side of Dask: hand the runs out, take in what came of them, say what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from minicnn.command import in_a_line
from minicnn.sweep.cluster import host_of, versions_of, workers_of
from minicnn.sweep.outcome import FAILED, Outcome, progress
from minicnn.sweep.plan import Run
from minicnn.sweep.work import REFUSED, Reply, versions, work

GONE = "the scheduler is gone; with another one the same command goes on"
A_LOOK = 1.0  # seconds between looks at the workers and the runs' folders


class Runs:
    """Runs that are under way.

    Args:
        client: Dask's.
        folder: the sweep's.
        say: prints a line.
        look: is called every second.
    """

    def __init__(
        self, client: Any, folder: Path, say: Callable[[str], None], look: Callable[[], None]
    ):
        self.client, self.folder, self.look = client, folder, look
        self._say, self._said = say, set[str]()
        self.pending: dict[Any, Run] = {}  # by Dask's futures
        self.refused: dict[str, dict[str, str]] = {}  # a run's name: machines that cannot do it
        self.when_it_died: dict[str, float] = {}  # a run's name: how far it was then
        self.workers: dict[str, str] = {}
        self.unfit: dict[str, str] = {}  # machines that cannot do any run, and why

    def begin(self, runs: Sequence[Run], machines: Sequence[str] | None = None) -> None:
        """Hand runs out, to these machines only if they are named."""
        columns = zip(*[(str(self.folder), run.name, run.options) for run in runs], strict=True)
        where = machines or (self._machines() if self.unfit else None)
        futures = self.client.map(work, *columns, pure=False, workers=where)
        self.pending |= dict(zip(futures, runs, strict=True))

    def ended(self) -> Iterator[tuple[Run, Outcome]]:
        """Each run as it ends.

        Raises:
            ConnectionError: the scheduler has gone.
        """
        while self.pending:
            for future in self._next():
                run = self.pending.pop(future)
                outcome = self._outcome(run, future)
                if outcome is not None:
                    yield run, outcome
            self._look_at_workers()
            self.look()

    def stop(self) -> None:
        """Cancel what is under way: workers keep the state of their runs, then end them."""
        self.client.cancel([*self.pending], force=True)

    def _next(self) -> set[Any]:
        """Those that have ended, after a second at the latest."""
        from distributed import CancelledError, TimeoutError, wait

        try:
            done: set[Any] = wait([*self.pending], A_LOOK, "FIRST_COMPLETED").done
        except TimeoutError:
            return set()
        except CancelledError as error:
            raise ConnectionError(GONE) from error
        return done

    def _outcome(self, run: Run, future: Any) -> Outcome | None:
        """What came of a run; None if it goes on elsewhere."""
        from distributed import KilledWorker

        try:
            reply: Reply = future.result()
        except KilledWorker:
            return self._after_deaths(run)
        except Exception as error:  # before our function was called: a late worker without minicnn
            return Outcome(FAILED, {}, in_a_line(error))
        self.compare(reply.worker, reply.versions)
        if reply.outcome.status == REFUSED:
            return self._elsewhere(run, reply)
        return reply.outcome

    def _after_deaths(self, run: Run) -> Outcome | None:
        """Dask gives a task up after four workers' deaths. A run that got on meanwhile is not why
        they died; it may go on."""
        now = progress(self.folder / run.name)
        if now <= self.when_it_died.get(run.name, -1.0):
            told = "workers died while they had it, again and again; is there enough memory?"
            return Outcome(FAILED, {}, told)
        self.when_it_died[run.name] = now
        self.begin([run])
        return None

    def _elsewhere(self, run: Run, reply: Reply) -> Outcome | None:
        """Hand a run out to the machines that have not refused it."""
        here = host_of(reply.worker)
        refused = self.refused.setdefault(run.name, {})
        refused[here] = reply.outcome.message
        others = self._machines(refused)
        if not others:
            return Outcome(FAILED, {}, f"{here}: {reply.outcome.message}")
        self.say(f"{here} is left out: {reply.outcome.message}")
        self.begin([run], others)
        return None

    def _look_at_workers(self) -> None:
        """Say which are gone, and that there are none."""
        now = workers_of(self.client)
        for address in self.workers.keys() - now.keys():
            self.say(f"{address} is gone; its run goes on elsewhere")
        if not now and self.pending:
            self.say("there are no workers; waiting for one")
        self.workers = now

    def greet(self) -> None:
        """Say which workers compute with other versions; leave out those that cannot compute.

        Raises:
            ConnectionError: all of them.
        """
        for worker, theirs in versions_of(self.client).items():
            if isinstance(theirs, Exception):
                self.unfit[host_of(worker)] = in_a_line(theirs)
                self.say(f"{host_of(worker)} is left out: {in_a_line(theirs)}")
            else:
                self.compare(worker, theirs)
        if self.unfit and not self._machines():
            raise ConnectionError(f"no worker can do a run: {next(iter(self.unfit.values()))}")

    def _machines(self, refused: Iterable[str] = ()) -> list[str]:
        """Those that have workers, without the unfit ones and those that refused."""
        return sorted({*workers_of(self.client).values()} - self.unfit.keys() - {*refused})

    def compare(self, worker: str, theirs: Mapping[str, str]) -> None:
        """Say what a worker has other versions of."""
        mine = versions()
        other = [f"{n} {theirs.get(n)} (here {mine[n]})" for n in mine if theirs.get(n) != mine[n]]
        if other:
            self.say(f"{worker} has other versions: {', '.join(other)}; figures may differ")

    def say(self, line: str) -> None:
        """Say a line once."""
        if line not in self._said:
            self._said.add(line)
            self._say(line)
