"""A step does what its plain version does: the same losses and gradients, with less work."""

import pytest
import torch
from detectron2.utils.events import EventStorage
from reference.naive_step import naive_losses
from tiny import batch, build, gradients, step, student_cfg

FORMS = {
    "specific": (),
    "agnostic": ("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True),
    "smooth": ("MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA", 0.5),
}


@pytest.mark.parametrize("opts", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("counts", [(4, 5), (0, 6), (0, 0)])
def test_plain_version_has_the_same_losses_and_gradients(teacher_files, opts, counts):
    model = build(student_cfg(teacher_files, *opts))
    model.distillation_weight = 1.0
    inputs = batch(counts)
    losses = step(model, inputs)
    expected_gradients = gradients(model)
    assert sum(counts) == 0 or all(loss > 0 for loss in losses.values())

    model.zero_grad()
    torch.manual_seed(11)
    with EventStorage():
        naive = naive_losses(model, inputs)
    sum(naive.values()).backward()
    assert set(naive) == set(losses)
    for name, loss in losses.items():
        torch.testing.assert_close(naive[name], loss, rtol=1e-4, atol=1e-6, msg=name)
    for name, gradient in gradients(model).items():
        expected = expected_gradients[name]
        torch.testing.assert_close(
            gradient, expected, rtol=1e-3, atol=1e-5 * (1 + expected.abs().max().item()), msg=name
        )
