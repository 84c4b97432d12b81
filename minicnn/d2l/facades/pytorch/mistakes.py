"""What a reader of the PyTorch tab does wrong, and what to write instead.

The engine's messages say what to write in the engine's words; ``call`` turns them into PyTorch's.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any, NoReturn

WORDS = [
    (re.compile(pattern), torch)
    for pattern, torch in (
        (r"minicnn\.Tensor\(np\.asarray\((\w+), 'float32'\)\)", r"torch.tensor(\1).float()"),
        (r"minicnn\.Tensor\((\w+)\)", r"\1"),
        (r"\.to\('(float32|float64|int32|int64)'\)", r".to(torch.\1)"),
        (r"'gpu:(\d+)'", r"'cuda:\1'"),
        (r"\bgpu:(\d+)", r"cuda:\1"),
        (r"x\.transpose\(((?:\d, )+\d)\)", r"x.permute(\1)"),
        (r"minicnn\.(no_grad|manual_seed|load|optim)", r"torch.\1"),
    )
]

# Names of the other tabs that readers write in this one.
GLUON = "is Gluon's, of the MXNet tab"
KERAS = "is Keras's, of the TensorFlow tab"
INSTEAD = {
    "Module": {
        "initialize": f"{GLUON}: layers here have their weights already; net.apply(init_weights) "
        "gives other ones",
        "collect_params": f"{GLUON}: write net.parameters()",
        "hybridize": f"{GLUON}: leave it out",
        "add": f"{GLUON}: write nn.Sequential(layer, ...), or net.append(layer)",
        "compile": f"{KERAS} (PyTorch's own is not in minicnn's torch): make "
        "loss = nn.CrossEntropyLoss() and optimizer = torch.optim.SGD(net.parameters(), lr=lr)",
        "fit": f"{KERAS}: write the loop, or d2l.train_ch6(net, train_iter, test_iter, "
        "num_epochs, lr, d2l.try_gpu())",
        "evaluate": f"{KERAS}: write d2l.evaluate_accuracy_gpu(net, test_iter)",
        "predict": f"{KERAS}: write net(X)",
        "summary": f"{KERAS}: write print(net)",
        "layers": f"{KERAS}: write list(net.children())",
        "step": "belongs to the optimizer: write optimizer.step()",
        "weight": "is a layer's, net[0].weight; a lazy layer has it after its first batch, net(X)",
        "bias": "is a layer's, net[0].bias; a lazy layer has it after its first batch, net(X)",
    },
    "Tensor": {
        "asnumpy": f"{GLUON}: write x.detach().numpy()",
        "asscalar": f"{GLUON}: write x.item()",
        "attach_grad": f"{GLUON}: write x.requires_grad_(True)",
        "as_in_context": f"{GLUON}: write x.to(device)",
        "as_in_ctx": f"{GLUON}: write x.to(device)",
        "astype": "is NumPy's: write x.type(torch.float32)",
        "copy": "is NumPy's: write x.clone()",
        "assign": f"{KERAS}: write x[:] = values",
    },
}
SETTINGS = {"learning_rate": "lr", "wd": "weight_decay", "beta1": "betas", "epsilon": "eps"}
TRAINER = (
    "step: wanted no batch size, received {0!r}; Gluon's trainer.step(batch_size) divides by it, "
    "here the loss is a mean already: write optimizer.step()"
)


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What the engine's ``function`` returns; what it refuses, it refuses in PyTorch's words.

    Raises:
        RuntimeError: for the engine's TypeError and ValueError, as PyTorch does.
        IndexError: as the engine's.
    """
    try:
        return function(*arguments, **options)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        text = in_torch_words(str(error))
        kind = IndexError if isinstance(error, IndexError) else RuntimeError
        raise kind(text) from None


def made(kind: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """One of the engine's layers or optimisers, whose complaints are in PyTorch's words."""
    try:
        return kind(*arguments, **options)
    except (TypeError, ValueError) as error:
        error.args = (in_torch_words(str(error)),)
        raise


def in_torch_words(text: str) -> str:
    """A message of the engine, with what to write as PyTorch names it."""
    for pattern, torch in WORDS:
        text = pattern.sub(torch, text)
    return text


def refuse(function: str, **arguments: tuple[Any, Any]) -> None:
    """Refuse arguments that the engine cannot honour: each (received, the only value it has).

    Raises:
        ValueError: one that differs.
    """
    for name, (received, only) in arguments.items():
        if type(received) is not type(only) or received != only:
            raise ValueError(
                f"{function}: {name} is {received!r}; minicnn has {name}={only!r} "
                "alone, leave it out"
            )


def missing(kind: str, name: str, there: Any) -> NoReturn:
    """The AttributeError for a name that a tensor, a module or an optimizer does not have."""
    text = f"{type(there).__name__!r} object has no attribute {name!r}"
    if not name.startswith("_"):
        near = difflib.get_close_matches(name, (n for n in dir(there) if n[0] != "_"), 3)
        meant = f"minicnn's has {', '.join(near)}" if near else ""
        known = INSTEAD.get(kind, {}).get(name)
        meant = f"{name} {known}" if known else meant
        text += f"; {meant}" if meant else ""
    raise AttributeError(text, name=name, obj=there)
