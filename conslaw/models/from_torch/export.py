"""A module as a graph of the operations that it is made of, in its names, without a copy of its weights.

`torch.export` runs the module once on tensors without entries.  What it forgets is put back (where no
gradient passes), and what it cannot know is refused: gradients that the user wrote, or changes by hooks.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch.autograd import Function
from torch.export import export
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind
from torch.utils._pytree import tree_map

from conslaw.errors import ConslawError

MODES = ("train", "eval")
_NOT_THE_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parents[2]), "<")
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


@dataclass(frozen=True)
class Exported:
    """What a module computes.

    Attributes
    ----------
    nodes : the operations in order, after the placeholders of what goes in
    parameters : for each placeholder of a parameter its name in the module
    constants : the tensors of placeholders that are neither parameters nor inputs, and do not change
    inputs : the placeholders of what the module is called with
    outputs : the nodes that the module returns
    """

    nodes: Sequence[Any]
    parameters: Mapping[str, str]
    constants: Mapping[str, torch.Tensor]
    inputs: Sequence[str]
    outputs: Sequence[Any]


def exported(
    module: torch.nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any], mode: str | None
) -> Exported:
    """Run a module once and write down its operations.

    Raises
    ------
    ConslawError
        If the module branches on the value of an array, has a gradient of its own, or cannot be exported.
    """
    inputs, kwargs = _beside(module, (tuple(inputs), dict(kwargs)))
    with _in_mode(module, mode), _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.inference_mode(False), torch.enable_grad(), _no_gradients_by_hand():
                program = export(module, inputs, kwargs, strict=False)
                _stop_gradients(program)
                program = program.run_decompositions(_table())
        except ConslawError:
            raise
        except Exception as error:
            raise ConslawError(_cannot(module, error)) from error
    signature = program.graph_signature
    changed = set(signature.buffers_to_mutate.values())
    parameters, constants = dict[str, str](), dict[str, torch.Tensor]()
    for spec in signature.input_specs:
        name = getattr(spec.arg, "name", "")
        if spec.kind == InputKind.PARAMETER:
            parameters[name] = spec.target
        elif spec.kind == InputKind.BUFFER and spec.target not in changed:
            constants[name] = _entry(program, spec.target)
        elif spec.kind == InputKind.CONSTANT_TENSOR:
            constants[name] = program.constants[spec.target]
    trained = [_memory(x) for x in module.parameters() if x.requires_grad]
    for name in [name for name, x in constants.items() if any(_overlap(_memory(x), own) for own in trained)]:
        del constants[name]  # it moves with the parameter
    moved = [s.target for s in signature.output_specs if s.kind.name == "PARAMETER_MUTATION"]
    if moved:
        raise ConslawError(
            f"the forward changes parameter {moved[0]!r} in place: give a module that does not"
        )
    last = next(node for node in program.graph.nodes if node.op == "output")
    returned = [
        node
        for node, spec in zip(last.args[0], signature.output_specs, strict=True)
        if spec.kind in (OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT)
        and not isinstance(spec.arg, ConstantArgument)
    ]
    nodes = [node for node in program.graph.nodes if node.op != "output"]
    for node in nodes:
        if any(not isinstance(n, int) for x in _tensors(node.meta.get("val")) for n in x.shape):
            raise ConslawError(
                f"the shape of {node.target} depends on data{line_of(node)}: give arrays of fixed shapes"
            )
    given = [spec.arg.name for spec in signature.input_specs if spec.kind == InputKind.USER_INPUT]
    return Exported(nodes, parameters, constants, given, returned)


def _beside(module: torch.nn.Module, inputs: Any) -> Any:
    """The inputs on the device of the module: their entries do not matter."""
    devices = dict[torch.device, str]()
    for name, x in (*module.named_parameters(), *module.named_buffers()):
        devices.setdefault(x.device, name)
    if len(devices) > 1:
        found = ", ".join(f"{name!r} on {device}" for device, name in devices.items())
        raise ConslawError(
            f"{type(module).__name__} is on several devices ({found}): move it to one, "
            f"module.to_empty(device='meta') suffices"
        )

    def moved(x: Any) -> Any:
        if not devices or not isinstance(x, torch.Tensor) or x.device in devices:
            return x
        return torch.zeros_like(x, device=next(iter(devices)))

    return tree_map(moved, inputs)


def _tensors(value: Any) -> list[torch.Tensor]:
    return [x for x in (value if isinstance(value, list | tuple) else [value]) if isinstance(x, torch.Tensor)]


def _entry(program: Any, name: str) -> torch.Tensor:
    found = program.state_dict.get(name, program.constants.get(name))
    assert found is not None
    return found


def _memory(x: torch.Tensor) -> range:
    """The addresses between which the entries of a tensor lie, if it has some."""
    if x.layout != torch.strided or x.device.type == "meta" or not x.numel():
        return range(0)
    last = sum((n - 1) * step for n, step in zip(x.shape, x.stride(), strict=True))
    return range(x.data_ptr(), x.data_ptr() + (last + 1) * x.element_size())


def _overlap(one: range, other: range) -> bool:
    return max(one.start, other.start) < min(one.stop, other.stop)


def _table() -> dict[Any, Any]:
    """Recurrent layers are taken apart step by step; all else stays whole."""
    from torch._decomp import get_decompositions

    aten = torch.ops.aten
    wanted = [getattr(aten, name) for name in _RECURRENT if hasattr(aten, name)]
    return dict(get_decompositions(wanted))


@contextmanager
def _in_mode(module: torch.nn.Module, mode: str | None) -> Iterator[None]:
    """In training or in evaluation; each part is left as it was."""
    before = [(part, part.training) for part in module.modules()]
    try:
        if mode is not None:
            module.train(mode == "train")
        yield
    finally:
        for part, training in before:
            part.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch logs and prints of a module that it cannot export: the error says it."""
    known = [x for n, x in logging.root.manager.loggerDict.items() if n.partition(".")[0] == "torch"]
    before = [(x, x.disabled) for x in known if isinstance(x, logging.Logger)]
    try:
        for logger, _ in before:
            logger.disabled = True
        with redirect_stderr(StringIO()) as held:
            yield
        print(held.getvalue(), end="", file=sys.stderr)  # what the module itself prints
    finally:
        for logger, disabled in before:
            logger.disabled = disabled


@contextmanager
def _no_gradients_by_hand() -> Iterator[None]:
    """Refuse what changes a gradient and leaves nothing in the graph, where its value alone would be read:
    functions with a gradient of their own, hooks on tensors, ``detach_`` and inference mode.
    """
    before, hook, inference = Function.__dict__["apply"], torch.Tensor.register_hook, torch.inference_mode
    enter, detach = inference.__enter__, torch.Tensor.detach_

    def apply(cls: type, *arguments: Any, **options: Any) -> Any:
        of_torch = f"{cls.__module__}.{cls.__qualname__}"
        if of_torch == "torch.utils.checkpoint._NoopSaveInputs":  # of PyTorch 2.10 and older: changes nothing
            return before.__get__(None, cls)(*arguments, **options)
        raise ConslawError(
            f"{cls.__qualname__}, a torch.autograd.Function, has a gradient of its own that is not known: "
            f"write it with PyTorch's functions (a straight-through estimator as x + (value - x).detach(), a "
            f"checkpoint with use_reentrant=False)"
        )

    def register_hook(*_: Any) -> Any:
        raise ConslawError("the forward hangs a hook on a tensor, which may change its gradient: remove it")

    def detach_(*_: Any) -> Any:
        raise ConslawError("the forward calls detach_(), which changes an array in place: write detach()")

    def entered(self: Any) -> None:
        if self.mode:
            raise ConslawError("the forward has torch.inference_mode(), not read: use torch.no_grad()")
        enter(self)

    Function.apply = classmethod(apply)
    torch.Tensor.register_hook, torch.Tensor.detach_ = register_hook, detach_
    inference.__enter__ = entered
    try:
        yield
    finally:
        Function.apply, inference.__enter__ = before, enter
        torch.Tensor.register_hook, torch.Tensor.detach_ = hook, detach


def _stop_gradients(program: Any) -> None:
    """Mark what is computed under ``torch.no_grad()``: taking the program apart forgets where that was."""
    graph = program.graph
    for node in list(graph.nodes):
        if getattr(node.target, "__name__", "") != "wrap_with_set_grad_enabled" or node.args[0]:
            continue
        _check_no_changes(program, node)
        for part in list(node.users):
            with graph.inserting_after(part):
                stopped = graph.call_function(torch.ops.aten.detach.default, (part,))
            stopped.meta = dict(part.meta)
            part.replace_all_uses_with(stopped, delete_user_cb=lambda user, own=stopped: user is not own)
    program.graph_module.recompile()


def _check_no_changes(program: Any, node: Any) -> None:
    """Refuse a change in place, without a gradient, of anything but a buffer."""
    inner = getattr(program.graph_module, node.args[1].target)
    outer = dict(zip((x for x in inner.graph.nodes if x.op == "placeholder"), node.args[2:], strict=True))
    buffers = program.graph_signature.inputs_to_buffers
    for x in inner.graph.nodes:
        schema = getattr(x.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            continue
        given = outer.get(x.args[0])
        if given is not None and given.name not in buffers:
            raise ConslawError(
                f"{x.target} changes an array in place under torch.no_grad(){line_of(x)}: write it with "
                f"detach()"
            )


def operation_of(node: Any) -> str:
    """The name of an operation, such as ``layer_norm``."""
    schema = getattr(node.target, "_schema", None)
    return schema.name.rpartition("::")[2] if schema else getattr(node.target, "__name__", str(node.target))


def path_of(node: Any) -> str:
    """The path of the module that an operation is of."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return str(paths[-1]) if paths else ""


def line_of(node: Any) -> str:
    """The same as :func:`place_of`, in brackets."""
    return f" ({place_of(node)})" if place_of(node) else ""


def place_of(node: Any) -> str:
    """The module and the line of the user's code that an operation comes from."""
    parts = [path_of(node)] if path_of(node) else []
    lines = (node.meta.get("stack_trace") or "").splitlines()
    for number in reversed(range(len(lines))):
        words = lines[number].strip().split('"')
        if len(words) == 3 and words[0] == "File " and not words[1].startswith(_NOT_THE_USERS):
            line = words[2].split(",")[1].strip().removeprefix("line ")
            code = lines[number + 1].strip() if number + 1 < len(lines) else ""
            parts.append(f"{Path(words[1]).name}:{line}" + (f": {code}" if code else ""))
            break
    return ", ".join(parts)


def _cannot(module: torch.nn.Module, error: Exception) -> str:
    name, first = type(module).__name__, str(error).strip().splitlines()[0] if str(error) else ""
    if type(error).__name__ == "GuardOnDataDependentSymNode" or "data-dependent" in str(error):
        call = r'raised this error:\s+File "([^"]*)", line (\d+), in .*\n\s*(.*)'
        found = re.search(call, str(error))
        place = f" ({Path(found[1]).name}:{found[2]}: {found[3]})" if found else ""
        return (
            f"{name} branches on the value of an array, or has its shape from it{place}: each path is "
            f"another network; give a module without that branch"
        )
    if "self._flat_weights" in str(error):
        return (
            f"{name} has a recurrent layer, which PyTorch {torch.__version__} cannot export: this needs "
            f"PyTorch 2.10 or newer"
        )
    return f"{name} cannot be exported by torch.export: {type(error).__name__}: {first[:300]}"
