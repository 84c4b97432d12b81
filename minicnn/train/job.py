"""What ``python -m minicnn.train`` does with its options: a new run, or one that goes on."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minicnn
from minicnn import command, compiler, data, models, nn
from minicnn.data.chosen import choose
from minicnn.data.own.arrays import Found
from minicnn.device import gpu_problem, resolve, to_device, try_gpu
from minicnn.distributed import Ranks
from minicnn.files import alone_in, check_folder
from minicnn.terminal import complain, say
from minicnn.train import state
from minicnn.train.callbacks import Callback, Training
from minicnn.train.kept import FOLDER, KeptStates
from minicnn.train.loop import fit
from minicnn.train.measure import DivergedError, History
from minicnn.train.recipe import recipe_for
from minicnn.train.report import count, headline, result
from minicnn.train.run import STATE, Keeper, Run, Unwritten
from minicnn.train.sharing import stopping
from minicnn.train.state import State
from minicnn.train.tensorboard import TensorBoard, check_installed
from minicnn.train.together import check_jobs_alike, run_together

KNOBS = (
    *("activation", "pool", "padding", "kernel_size", "channels", "hidden", "init"),
    *("batch_norm", "dropout"),
)
# what concerns a call, not the training
NOT_KEPT = ("config", "out", "quiet", "json", "resume", "distributed", "rank_timeout")


class Job(NamedTuple):
    """All that the options ask for, ready to begin.

    Attributes:
        options: as typed, or as the run to resume had them.
        config: the content of ``config.json``.
        training: not begun yet.
        test, validation: what the net is measured on.
        headline: what is printed at the start.
        divide_by, after_epoch, ranks, callbacks: arguments of ``fit``; the folder's callbacks come
            first.
    """

    options: argparse.Namespace
    config: dict[str, Any]
    training: Training
    test: data.DataLoader
    validation: data.DataLoader | None
    headline: str
    divide_by: int | None
    after_epoch: list[Callable[[History], None]]
    ranks: Ranks | None
    callbacks: Sequence[Callback]

    @property
    def writes(self) -> bool:
        """Whether this process keeps the folder: of several ranks the first one does."""
        return self.ranks is None or self.ranks.rank == 0


def run(
    options: argparse.Namespace,
    find: Callable[..., Found] = choose,
    callbacks: Sequence[Callback] = (),
) -> int:
    """Do what the options say; the exit status.

    Args:
        find: gives the data; called as ``choose`` is.
        callbacks: look on, too.
    """
    alone = functools.partial(_run, find=find, callbacks=callbacks)
    return run_together(options, alone) if options.distributed else alone(options)


def _run(
    options: argparse.Namespace,
    ranks: Ranks | None = None,
    *,
    find: Callable[..., Found],
    callbacks: Sequence[Callback],
) -> int:
    """The same, alone or in one of several ranks."""
    with command.talking(options.quiet, options.json) as stdout:
        if options.tensorboard is not None:
            check_installed()
            with command.naming(options, "tensorboard"):
                check_folder(options.tensorboard)
        job = _job(options, stdout, ranks, find)._replace(callbacks=callbacks)
        if ranks is not None:
            check_jobs_alike(ranks, job.config, job.training.loader, job.test)
        if options.resume is not None:
            folder, status = options.resume, _resume(job)
        else:
            with command.naming(options, "out"):
                kind = Run if job.writes else Unwritten
                new = kind(options.out, job.config, job.training.net, job.training)
            say(job.headline)
            with _alone_in(new.folder, job):
                folder, status = new.folder, _fit(new, job)
        if options.quiet and not options.json:
            say(folder, stdout)
        return status


def _alone_in(folder: Path, job: Job) -> AbstractContextManager[None]:
    """See ``alone_in``; of several ranks the first one is alone there."""
    return alone_in(folder) if job.writes else nullcontext()


def _job(
    options: argparse.Namespace, stdout: Any, ranks: Ranks | None, find: Callable[..., Found]
) -> Job:
    """Read the data, make the net; ``stdout``: where ``--json`` prints."""
    with command.naming(options, "device"):
        device, why_cpu = _choose_device(options.device)
    if options.threads is not None:
        minicnn.set_num_threads(options.threads)
    found, train, validation = _data(options, find)
    net, model_args = _net(options, train)
    net.to(device)
    with command.naming(options, "normalise"):
        normalise = data.mean_and_std(train) if options.normalise else None
    recipe = recipe_for(options, len(train))
    compiled = not options.no_compile and compiler.is_available(device)
    config = {
        "model": options.model,
        "model_args": model_args,
        **_about(found, options, normalise),
        **recipe._asdict(),
        "seed": options.seed,
        "device": device,
        "compiled": compiled,
        "threads": minicnn.get_num_threads(),
        **({} if ranks is None else {"ranks": ranks.size}),
        "minicnn": minicnn.__version__,
        "numpy": np.__version__,
    }
    config["options"] = _kept(options, config)
    raw = compiled and normalise is None

    def cut(part: data.Dataset, shuffle: bool = False) -> data.DataLoader:
        seed = options.seed if shuffle else None
        return data.DataLoader(part, recipe.batch_size, shuffle, seed, device, raw, normalise)

    optimizer = recipe.optimizer_of(net)
    schedule = recipe.schedule_of(optimizer)
    training = Training(net, optimizer, schedule, cut(train, True), None, History(), recipe.epochs)
    said = headline(config, net, train, found.test, why_cpu)
    lines = [lambda history: say(json.dumps(history.epochs[-1]), stdout)] if options.json else []
    measured = cut(found.test), None if validation is None else cut(validation)
    return Job(options, config, training, *measured, said, recipe.divisor, lines, ranks, ())


def _data(
    options: argparse.Namespace, find: Callable[..., Found]
) -> tuple[Found, data.Dataset, data.Dataset | None]:
    """What was found, the training set, the validation set."""
    with command.naming(options, "data_dir"):
        found = find(options.dataset, options.data_dir, options.image_size, options.seed)
    if options.validation is None:
        return found, found.train, None
    with command.naming(options, "validation"):
        return found, *data.split_off(found.train, options.validation)


def _net(options: argparse.Namespace, train: data.Dataset) -> tuple[nn.Module, dict[str, Any]]:
    """The net with its initial weights, and the arguments that it was made with."""
    minicnn.manual_seed(options.seed)
    knobs = {name: getattr(options, name) for name in KNOBS if getattr(options, name) is not None}
    knobs |= _shapes(train)
    with command.naming(options, *KNOBS):
        return models.build(options.model, **knobs), knobs


def _shapes(train: data.Dataset) -> dict[str, Any]:
    """The arguments of a model for these pictures and classes, where they are not the usual."""
    shape = train.images.shape[1:]
    image_shape = [1, *shape] if len(shape) == 2 else [*shape]
    return {
        **({"image_shape": image_shape} if image_shape != [1, 28, 28] else {}),
        **({"classes": len(train.classes)} if len(train.classes) != 10 else {}),
    }


def _about(
    found: Found, options: argparse.Namespace, normalise: tuple[list[float], list[float]] | None
) -> dict[str, Any]:
    """What ``config.json`` says about the data."""
    folder = options.data_dir
    return {
        "dataset": found.name,
        "data_kind": found.kind,
        "data_dir": None if folder is None else str(folder.resolve()),
        "image_size": options.image_size,
        "classes": found.train.classes,
        "normalise": normalise and dict(zip(("mean", "std"), normalise, strict=True)),
    }


def _kept(options: argparse.Namespace, config: dict[str, Any]) -> dict[str, Any]:
    """All options of a training, as ``--config`` reads them, with the values that were in force."""
    values = {name: config.get(name, value) for name, value in vars(options).items()}
    values["no_compile"], values["normalise"] = not config["compiled"], options.normalise
    if options.dataset is None and options.data_dir is not None:
        values["dataset"] = None  # it is what lies in data_dir
    return {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in values.items()
        if value is not None and name not in NOT_KEPT
    }


def _choose_device(name: str) -> tuple[str, str]:
    """The device, and for ``auto`` on the CPU the reason why."""
    if name == "auto":
        device = try_gpu()
        problem, _, _ = (gpu_problem() or "").partition(";")
        return device, f" (no GPU: {problem})" if device == "cpu" else ""
    to_device(np.zeros(1, np.float32), name)
    return resolve(name), ""


# Training -----------------------------------------------------------------------------------------


def _resume(job: Job) -> int:
    """Go on with the run of a folder, under the job's learning rate and number of epochs."""
    options = job.options
    with _alone_in(options.resume, job):
        run = (Run if job.writes else Unwritten).of(options.resume)
        with command.naming(options, "resume"):
            kept = state.load(run.folder / STATE)
        if job.training.epochs < (epoch := kept.facts["epoch"]):
            raise ValueError(f"--epochs is {job.training.epochs}; the run is in epoch {epoch}")
        with command.naming(options, "resume"):
            _check(run, kept, job)
        if job.ranks is not None:  # the first one may write when all have read
            job.ranks.gather(None, "the state of the run")
        if kept.epochs_done == job.training.epochs:
            return _finished(run, kept)
        _note_changes(run, kept, job)
        place = f"epoch {kept.facts['epoch']} after batch {kept.facts['batch']}"
        say(f"{job.headline}\ngoing on in {place} of {len(job.training.loader)}")
        return _fit(run, job, kept)


def _check(run: Run, kept: State, job: Job) -> None:
    """Refuse to go on with something else."""
    if run.config.get("compiled") and not job.config["compiled"]:
        raise ValueError("the run is a compiled one; here nothing can be compiled")
    state.check(job.training, kept)


def _note_changes(run: Run, kept: State, job: Job) -> None:
    """Write another learning rate or number of epochs into config.json, then into the state.

    The folder of the data, which the digest of the images has been compared for, and the numbers
    of ranks and threads, too.
    """
    now = {"lr": job.config["lr"], "epochs": job.training.epochs}
    now_all = now | {name: job.config.get(name) for name in ("data_dir", "ranks", "threads")}
    changed = {name: value for name, value in now_all.items() if run.config.get(name) != value}
    if changed:
        place = {"epoch": kept.facts["epoch"], "batch": kept.facts["batch"]}
        run.config |= changed
        run.config["options"] |= {name: changed[name] for name in changed if name != "ranks"}
        run.config.setdefault("resumes", []).append({**place, **changed})
        run.write_config()
    # not only if changed: the process that wrote a change may have ended before its first state
    if now != {"lr": kept.first_lr, "epochs": kept.facts["epochs"]}:
        state.with_rate_of(job.training, kept)


def _finished(run: Run, kept: State) -> int:
    """Say that there is nothing more to do; draw what a killed process had no time for."""
    if not (run.folder / "curves.png").exists():
        run.draw(History(**kept.facts["history"]))
    epochs = count(kept.epochs_done, "epoch")
    say(f"{run.folder} is finished after {epochs}; with a larger --epochs it goes on")
    return 0


def _fit(run: Run, job: Job, kept: State | None = None) -> int:
    """Train to the end, or until the loss diverges or somebody interrupts; the exit status."""
    training, history, status = job.training, job.training.history, 0
    try:
        fit(
            training.net,
            training.loader,
            job.test,
            optimizer=training.optimizer,
            epochs=training.epochs,
            schedule=training.schedule,
            validation=job.validation,
            divide_by=job.divide_by,
            callbacks=_callbacks(run, job),
            after_epoch=job.after_epoch,
            history=history,
            quiet=job.options.quiet,
            compile=job.config["compiled"],
            resume=kept,
            ranks=job.ranks,
        )
    except DivergedError as error:
        complain(f"python -m minicnn.train: {error}")
        status = 1
    except KeyboardInterrupt:
        if kept is not None and len(history.epochs) < kept.epochs_done:
            raise  # before fit had taken the state over: the net still has its initial weights
        with stopping(job.ranks):
            run.write(training.net, history)
            complain(
                f"interrupted after {count(len(history.epochs), 'whole epoch')}; what was trained "
                f"so far is in {run.folder}, and --resume {run.folder} goes on"
            )
            _draw(run, history)
        return 130
    else:
        say(result(run.config, run.folder, history))
    _draw(run, history)
    return status


def _draw(run: Run, history: History) -> None:
    """Draw the curves, or say why not."""
    try:
        run.draw(history)
    except Exception as error:  # fonts, a full disk: the weights are there all the same
        complain(f"python -m minicnn.train: no curves.png: {command.in_a_line(error)}")


def _callbacks(run: Run, job: Job) -> list[Callback]:
    """What keeps the run's folder, and what writes for TensorBoard."""
    if not job.writes:
        return []
    options, callbacks = job.options, list[Callback]([Keeper(run, job.options.checkpoint_every)])
    if options.keep_states is not None:
        callbacks.append(KeptStates(run.folder / FOLDER, options.keep_states, job.training))
    if options.tensorboard is not None:
        with command.naming(options, "tensorboard"):
            folder = options.tensorboard / run.folder.name
            callbacks.append(TensorBoard(folder, run.config["options"]))
    return [*callbacks, *job.callbacks]
