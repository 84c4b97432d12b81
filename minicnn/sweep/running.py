"""The command's side of Dask: hand the runs out, take in what came of them, say what happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from minicnn.command import in_a_line
from minicnn.sweep.cluster import host_of, under_way, versions_of, workers_of
from minicnn.sweep.outcome import FAILED, Outcome, progress
from minicnn.sweep.plan import Run
from minicnn.sweep.work import REFUSED, Reply, versions, work

GONE = "the scheduler is gone; with another one the same command goes on"
A_LOOK = 1.0  # seconds between looks at the workers and the runs' folders


class Runs:
    """Runs that are under way.

    Args:
        client: Dask's.
        place: the sweep's folder, and the token in it.
        say: prints a line.
        look: is called every second.
    """

    def __init__(
        self,
        client: Any,
        place: tuple[Path, str],
        say: Callable[[str], None],
        look: Callable[[], None],
    ):
        self.client, self.look = client, look
        self.folder, self.token = place
        self._say, self._said = say, set[str]()
        self.pending: dict[Any, Run] = {}  # by Dask's futures
        self.refused: dict[str, dict[str, str]] = {}  # a run's name: machines that cannot do it
        self.when_it_died: dict[str, float] = {}  # a run's name: how far it was then
        self.workers: dict[str, str] = {}
        self.unfit: dict[str, str] = {}  # machines that cannot do any run, and why
        self.unfit_then: dict[str, set[str]] = {}  # a run's name: those known when it was begun
        self.allowed: dict[Any, set[str]] = {}  # by futures: the machines, where not all may do it
        self.waiting: list[Run] = []  # no machine is there that can do them

    def begin(self, runs: Sequence[Run]) -> None:
        """Hand runs out, but to no machine that cannot do them; if there is no other, they wait."""
        refused = {machine for run in runs for machine in self.refused.get(run.name, ())}
        where = self._machines(refused) if refused or self.unfit else None
        if where == []:
            self.waiting += runs
            return
        sweep = str(self.folder), self.token
        columns = zip(*[(*sweep, run.name, run.options) for run in runs], strict=True)
        futures = self.client.map(work, *columns, pure=False, workers=where)
        self.pending |= dict(zip(futures, runs, strict=True))
        self.unfit_then |= {run.name: {*self.unfit} for run in runs}
        if where is not None:
            self.allowed |= {future: {*where} for future in futures}

    def ended(self) -> Iterator[tuple[Run, Outcome]]:
        """Each run as it ends.

        Raises:
            ConnectionError: the scheduler has gone.
        """
        while self.pending or self.waiting:
            for future in self._next():
                run = self.pending.pop(future)
                self.allowed.pop(future, None)
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

        if not self.pending:
            time.sleep(A_LOOK)
            return set()
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
        except ImportError as error:  # before our function was called: by a worker without minicnn
            return self._without(run, error)
        except Exception as error:
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

    def _without(self, run: Run, error: ImportError) -> Outcome | None:
        """Find the machine that came late and cannot do any run; hand this one to the others."""
        then = self.unfit_then[run.name]
        if self.unfit.keys() <= then:
            self._inspect()
        if self.unfit.keys() <= then:
            return Outcome(FAILED, {}, in_a_line(error))
        self.begin([run])
        return None

    def _elsewhere(self, run: Run, reply: Reply) -> Outcome | None:
        """Hand a run out to the machines that have not refused it."""
        here = host_of(reply.worker)
        refused = self.refused.setdefault(run.name, {})
        refused[here] = reply.outcome.message
        if not self._machines(refused):
            return Outcome(FAILED, {}, f"{here}: {reply.outcome.message}")
        self.say(f"{here} is left out: {reply.outcome.message}")
        self.begin([run])
        return None

    def _look_at_workers(self) -> None:
        """Say which are gone, and that there are none; hand runs out where others have come."""
        now = workers_of(self.client)
        before, machines = {*self.workers.values()}, {*now.values()}
        for address in self.workers.keys() - now.keys():
            self.say(f"{address} is gone; its run goes on elsewhere")
        if not now and self.pending:
            self.say("there are no workers; waiting for one")
        self.workers = now
        if machines != before and (self.waiting or self.allowed):
            self._hand_out_again(before, machines)
        if machines and self.waiting:
            self.say("runs wait for a machine that can do them: none is there")

    def _hand_out_again(self, before: set[str], now: set[str]) -> None:
        """Machines have come or gone: move the runs whose machines are gone, and those that are not
        under way to all that may do them."""
        self._take_back([future for future, its in self.allowed.items() if not its & now])
        if now - before:
            self._inspect()
            busy = under_way(self.client)
            self._take_back([future for future in self.allowed if future.key not in busy])
        runs, self.waiting = self.waiting, []
        for run in runs:
            self.begin([run])

    def _take_back(self, futures: Sequence[Any]) -> None:
        if futures:
            self.client.cancel(futures, force=True)
        for future in futures:
            del self.allowed[future]
            self.waiting.append(self.pending.pop(future))

    def greet(self) -> None:
        """Say which workers compute with other versions; leave out those that cannot compute.

        Raises:
            ConnectionError: all of them.
        """
        self.workers = workers_of(self.client)
        self._inspect()
        if self.unfit and not self._machines():
            raise ConnectionError(f"no worker can do a run: {next(iter(self.unfit.values()))}")

    def _inspect(self) -> None:
        """Ask each worker what it computes with."""
        for worker, theirs in versions_of(self.client).items():
            if isinstance(theirs, OSError):  # it has just gone
                continue
            if isinstance(theirs, Exception):
                self.unfit[host_of(worker)] = in_a_line(theirs)
                self.say(f"{host_of(worker)} is left out: {in_a_line(theirs)}")
            else:
                self.compare(worker, theirs)

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
