"""What a distilled step keeps for its backward pass."""

import weakref

import pytest
import torch
from detectron2.utils.events import EventStorage
from tiny import batch, build, plain_cfg, source, student_cfg

INSTANCE_GATE = ("MODEL.TADISTILL.FEATURE.GATE", "instance")


class Kept:
    """The memory that autograd holds on to, by its address."""

    def __init__(self, model, inputs):
        self.sizes = {}
        torch.manual_seed(11)
        with EventStorage(), torch.autograd.graph.saved_tensors_hooks(self._note, lambda t: t):
            self.losses = model(inputs)
        self.total = sum(self.sizes.values())

    def _note(self, tensor):
        storage = tensor.untyped_storage()
        self.sizes[storage.data_ptr()] = storage.nbytes()
        return tensor


def tensors(output):
    if isinstance(output, torch.Tensor):
        return [output] if output.numel() else []
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        return [tensor for part in output for tensor in tensors(part)]
    return []  # Instances


def distilled(teacher_files, *opts):
    model = build(student_cfg(teacher_files, *opts))
    model.distillation_weight = 1.0
    return model


@pytest.mark.parametrize("proposals", ["union", "student"])
def test_nothing_that_the_teacher_computed_is_kept(teacher_files, proposals):
    model = distilled(teacher_files, *source(proposals), *INSTANCE_GATE)
    computed = []  # kept here, so that no address is used twice
    for module in model.teacher.modules():
        module.register_forward_hook(lambda m, args, out: computed.extend(tensors(out)))
    kept = Kept(model, batch())
    theirs = {tensor.untyped_storage().data_ptr() for tensor in computed}
    theirs |= {p.untyped_storage().data_ptr() for p in model.teacher.parameters()}
    assert len(theirs) > 200
    assert not theirs & set(kept.sizes)
    assert not any(tensor.requires_grad for tensor in computed)


def test_what_is_kept_beside_the_students_own_is_a_map_a_level(teacher_files):
    inputs = batch()
    alone = Kept(build(plain_cfg()), inputs)
    model = distilled(teacher_files, *source("student"), *INSTANCE_GATE)
    maps = model._teacher.features(model._teacher.images(inputs))
    size_of_maps = sum(m.untyped_storage().nbytes() for m in maps.values())
    kept = Kept(model, inputs)
    regions = 2 * 32
    # Of a region: logits of both, deltas, gates, labels.
    assert size_of_maps < kept.total - alone.total < 1.1 * size_of_maps + 100 * 4 * regions


def test_the_teachers_maps_are_gone_when_the_step_has_its_losses(teacher_files):
    model = distilled(teacher_files)
    alive = []
    backbone, head = model.teacher.backbone, model.teacher.roi_heads.box_head
    for module in (backbone, head):
        module.register_forward_hook(
            lambda m, args, out: alive.extend(map(weakref.ref, tensors(out)))
        )
    with EventStorage():
        losses = model(batch())
    assert len(alive) == 6
    assert not any(tensor() is not None for tensor in alive)
    sum(losses.values()).backward()
