"""With distillation off, the student is stock Detectron2, bit for bit."""

import pytest
import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import BitMasks
from distilled import distilled, train
from tiny import batch, build, plain_cfg, same_tensors, source, step, student_cfg, term_weights

from tadistill import TADistillRCNN


class TestWithDistillationOff:
    @pytest.mark.parametrize(
        "opts",
        [("MODEL.TADISTILL.ENABLED", False), (*term_weights(0, 0, 0), *source("student"))],
        ids=["disabled", "weights zero"],
    )
    @pytest.mark.parametrize("norm", ["BN", "FrozenBN"])
    def test_three_steps_are_bitwise_those_of_generalized_rcnn(self, teacher_files, opts, norm):
        norm = ("MODEL.RESNETS.NORM", norm)
        ours = build(student_cfg(teacher_files, *norm, *opts))
        stock = build(plain_cfg(*norm))
        assert type(stock) is GeneralizedRCNN
        assert type(ours) is TADistillRCNN

        for mine, theirs in zip(train(ours, 3), train(stock, 3), strict=True):
            assert same_tensors(mine[0], theirs[0])
            assert same_tensors(mine[1], theirs[1])
            assert torch.equal(mine[2], theirs[2])
        assert same_tensors(ours.state_dict(), stock.state_dict())

    @pytest.mark.parametrize(
        "opts",
        [("MODEL.TADISTILL.ENABLED", False), (*term_weights(0, 0, 0), *source("student"))],
        ids=["disabled", "weights zero"],
    )
    def test_no_teacher_is_built_or_even_looked_for(self, opts):
        cfg = student_cfg(None, "MODEL.TADISTILL.ENABLED", True, *opts)
        cfg.MODEL.TADISTILL.TEACHER.CONFIG_FILE = "nowhere.yaml"
        assert build(cfg).teacher is None

    def test_a_mask_head_trains_as_in_generalized_rcnn(self, teacher_files):
        # With the student's proposals, the detection losses (mask included) are untouched.
        opts = ("MODEL.MASK_ON", True, "MODEL.ROI_MASK_HEAD.NAME", "MaskRCNNConvUpsampleHead")
        opts += ("MODEL.ROI_MASK_HEAD.NUM_CONV", 1, "MODEL.ROI_MASK_HEAD.CONV_DIM", 4)
        inputs = with_masks(batch())
        theirs = step(build(plain_cfg(*opts)), inputs)
        ours = step(distilled(teacher_files, *opts, *source("student")), inputs)
        assert theirs["loss_mask"] > 0
        assert all(torch.equal(ours[name], loss) for name, loss in theirs.items())


def with_masks(inputs):
    for x in inputs:
        height, width = x["instances"].image_size
        masks = torch.zeros(len(x["instances"]), height, width, dtype=torch.bool)
        for mask, (x0, y0, x1, y1) in zip(
            masks, x["instances"].gt_boxes.tensor.int().tolist(), strict=True
        ):
            mask[y0:y1, x0:x1] = True
        x["instances"].gt_masks = BitMasks(masks)
    return inputs
