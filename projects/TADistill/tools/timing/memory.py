"""How much memory a step takes, to the byte: what autograd keeps for the backward pass, and the
peak of the allocator.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from detectron2.utils.events import EventStorage
from torch import Tensor, nn

from tadistill.teacher import FrozenTeacher


def kept_for_backward(model: nn.Module, batch: list[dict]) -> dict[str, int]:
    """Bytes that one forward pass keeps for backward, besides the parameters.

    Args:
        model: a detector in train mode.
        batch: its input.

    Returns:
        ``kept``, and ``of_teacher``: those in memory that also holds anything that the teacher
        computed.
    """
    own = {_address(p) for p in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}
    with _outputs_of_teacher() as outputs:

        def pack(tensor: Tensor) -> Tensor:
            if _address(tensor) not in own:
                kept[_address(tensor)] = tensor.untyped_storage().nbytes()
            return tensor

        saving = torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t)
        with EventStorage(start_iter=1), saving:
            loss = sum(model(batch).values())
        of_teacher = {_address(t) for t in outputs}
        del loss
    return {
        "kept": sum(kept.values()),
        "of_teacher": sum(size for address, size in kept.items() if address in of_teacher),
    }


def forward_and_backward(model: nn.Module, batch: list[dict]) -> None:
    """A training step without its optimizer, which leaves no gradients."""
    with EventStorage(start_iter=1):
        sum(model(batch).values()).backward()
    model.zero_grad()


def peak(step: Callable[[], object], device: torch.device) -> int:
    """Bytes that ``step()`` takes at most, above what was there before.

    On a CPU counted from the profiler's record of each allocation; what oneDNN allocates inside of
    an operation is not seen there.
    """
    step()  # what is allocated once and stays is there before
    if device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    now = most = 0
    events = profile.profiler.kineto_results.events()
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


def teacher_bytes(model: nn.Module, batch: list[dict]) -> dict[str, int]:
    """What the teacher of a distilled model brings with it: bytes of its weights, of its feature
    maps and of its head's answers; and those of the adapters.
    """
    maps: list[Tensor] = []
    answers: list[Tensor] = []
    with (
        _recording(FrozenTeacher, "features", maps),
        _recording(FrozenTeacher, "box_head", answers),
        torch.no_grad(),
        EventStorage(start_iter=1),
    ):
        model(batch)
    teacher = model.teacher
    return {
        "weights": _bytes([*teacher.parameters(), *teacher.buffers()]),
        "maps": _bytes(maps),
        "head": _bytes(answers),
        "adapters": _bytes(model.adapters.parameters()),
    }


@contextmanager
def _outputs_of_teacher() -> Iterator[list[Tensor]]:
    """All that any module of any frozen teacher returns while this is open."""
    outputs: list[Tensor] = []

    def note(module: nn.Module, _, output) -> None:
        # In a training step nothing else is in eval mode without gradients.
        if not module.training and not torch.is_grad_enabled():
            outputs.extend(_tensors(output))

    handle = nn.modules.module.register_module_forward_hook(note)
    try:
        yield outputs
    finally:
        handle.remove()


@contextmanager
def _recording(owner: type, name: str, outputs: list[Tensor]) -> Iterator[None]:
    original = getattr(owner, name)

    def recorded(*args, **kwargs):
        result = original(*args, **kwargs)
        outputs.extend(_tensors(result))
        return result

    with mock.patch.object(owner, name, recorded):
        yield


def _tensors(value) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
