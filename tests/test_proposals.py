import copy

import pytest
import torch
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.roi_heads import ROIHeads
from detectron2.structures import Boxes, Instances, pairwise_iou
from detectron2.utils.events import EventStorage
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import proposals as reference
from reference.boxes import iou
from strategies import box_rows, finite_rows

from tadistill.proposals import label_and_sample, share_proposals

# A small grid: boxes that overlap, agree or only touch are then common.
start = st.integers(0, 12).map(lambda v: 4.0 * v)
side = st.integers(1, 8).map(lambda v: 4.0 * v)
box = st.builds(lambda x, y, w, h: [x, y, x + w, y + h], start, start, side, side)
boxes = st.lists(box, max_size=8)
thresholds = st.sampled_from([0.0, 0.3, 0.5, 0.7, 0.9, 1.0])


def proposals(boxes, scores=None, image_size=(90, 110)):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    scores = torch.arange(len(boxes), dtype=torch.float32) if scores is None else scores
    return Instances(image_size, proposal_boxes=Boxes(boxes), objectness_logits=scores)


def box_list(instances):
    return instances.proposal_boxes.tensor.tolist()


def distinct(*arguments):
    return share_proposals(*arguments).distinct()


def union(student, teacher, threshold):
    shared = distinct([proposals(student)], [proposals(teacher)], "union", threshold)
    assert len(shared) == 1
    return box_list(shared[0])


def has_near_tie(student, teacher, threshold):
    """Whether float32 may find another side of the threshold than float64 does."""
    return any(abs(iou(s, t) - threshold) < 1e-6 for s in student for t in teacher)


class TestUnion:
    @given(boxes, boxes, thresholds)
    def test_is_the_reference(self, student, teacher, threshold):
        assume(threshold in (0, 1) or not has_near_tie(student, teacher, threshold))
        assert union(student, teacher, threshold) == reference.union(student, teacher, threshold)

    @given(box_rows(), box_rows(), st.booleans(), thresholds)
    def test_is_the_reference_for_crowds_and_for_boxes_of_no_or_negative_size(
        self, student, teacher, identical, threshold
    ):
        student = student.tolist()
        teacher = student if identical else teacher.tolist()
        assume(threshold in (0, 1) or not has_near_tie(student, teacher, threshold))
        assert union(student, teacher, threshold) == reference.union(student, teacher, threshold)

    @given(box_rows(unusable=True), box_rows(unusable=True), thresholds)
    def test_boxes_that_are_not_finite_are_left_to_the_rpn_and_do_not_touch_the_others(
        self, student, teacher, threshold
    ):
        """Detectron2's RPN lets none of them through; see the docstring."""
        shared = [str(box) for box in union(student.tolist(), teacher.tolist(), threshold)]
        assert shared[: len(student)] == [str(box) for box in student.tolist()]
        sound = [rows[finite_rows(rows)].tolist() for rows in (student, teacher)]
        assume(threshold in (0, 1) or not has_near_tie(*sound, threshold))
        kept = [box for box in shared[len(student) :] if "nan" not in box and "inf" not in box]
        assert kept == [str(box) for box in reference.union(*sound, threshold)[len(sound[0]) :]]

    @given(boxes, boxes, thresholds)
    def test_has_no_near_duplicates_and_loses_nothing_else(self, student, teacher, threshold):
        shared = union(student, teacher, threshold)
        assert shared[: len(student)] == student
        kept = shared[len(student) :]
        for t in kept:
            assert all(iou(s, t) <= threshold + 1e-6 for s in student)
        for t in teacher:
            if t not in kept:
                assert any(iou(s, t) > threshold - 1e-6 for s in student)
        # In the teacher's order.
        assert kept == [t for t in teacher if t in kept]

    @given(boxes, boxes, thresholds, st.randoms(use_true_random=False))
    def test_no_score_decides(self, student, teacher, threshold, random):
        def scored(boxes):
            return proposals(boxes, torch.tensor([random.uniform(-9, 9) for _ in boxes]))

        shared = distinct([scored(student)], [scored(teacher)], "union", threshold)
        assert box_list(shared[0]) == union(student, teacher, threshold)

    def test_order(self):
        student = [[0, 0, 10, 10], [50, 50, 70, 70], [5, 5, 40, 40]]
        teacher = [[80, 0, 90, 10], [50, 50, 70, 70], [0, 80, 10, 90]]
        assert union(student, teacher, 0.5) == [*student, teacher[0], teacher[2]]

    @pytest.mark.parametrize(("threshold", "kept"), [(0.49, False), (0.5, True), (0.51, True)])
    def test_a_near_duplicate_is_above_the_threshold(self, threshold, kept):
        student, teacher = [[0, 0, 10, 10]], [[0, 0, 10, 20]]  # of IoU 0.5
        assert union(student, teacher, threshold) == student + teacher * kept

    def test_a_threshold_of_one_keeps_all(self):
        both = [[0, 0, 10, 10], [0.1, 0.3, 33.3, 66.6]]
        assert union(both, both, 1.0) == union(both, [], 1.0) * 2

    def test_a_threshold_of_zero_keeps_what_overlaps_nothing(self):
        student = [[0, 0, 10, 10]]
        teacher = [[9, 9, 20, 20], [10, 0, 20, 10], [30, 30, 40, 40]]
        assert union(student, teacher, 0.0) == [*student, *teacher[1:]]

    def test_a_models_own_duplicates_are_its_own_affair(self):
        one, other = [0, 0, 10, 10], [50, 50, 60, 60]
        assert union([one, one], [other, other], 0.5) == [one, one, other, other]

    @pytest.mark.parametrize("num_teacher", [1, 500, 3000])
    def test_as_many_as_an_rpn_has(self, num_teacher):
        corners = torch.rand(max(num_teacher, 1201), 2) * 1000
        all_boxes = torch.cat([corners, corners + 20 + 80 * torch.rand_like(corners)], dim=1)
        student = Boxes(all_boxes[:1201])  # of which the near-duplicates are all over the list
        teacher = Boxes(all_boxes[-num_teacher:] + torch.randn(num_teacher, 4))
        s, t = (Instances((1100, 1100), proposal_boxes=b) for b in (student, teacher))
        (duplicates,) = share_proposals([s], [t], "union", 0.9).duplicates
        expected = (pairwise_iou(student, teacher) > 0.9).any(dim=0)
        assert not duplicates[:1201].any()
        assert torch.equal(duplicates[1201:], expected)
        assert num_teacher == 1 or 0 < expected.sum() < num_teacher

    @pytest.mark.parametrize("student", [[], [[0, 0, 10, 10]]])
    @pytest.mark.parametrize("teacher", [[], [[50, 50, 60, 60]]])
    def test_an_rpn_without_proposals(self, student, teacher):
        shared = distinct([proposals(student)], [proposals(teacher)])[0]
        assert box_list(shared) == [*student, *teacher]
        assert shared.objectness_logits.shape == (len(student) + len(teacher),)

    def test_images_are_apart(self):
        one, other = [0, 0, 10, 10], [50, 50, 60, 60]
        shared = distinct(
            [proposals([one], image_size=(60, 80)), proposals([other], image_size=(70, 90))],
            [proposals([other], image_size=(60, 80)), proposals([other], image_size=(70, 90))],
        )
        assert [box_list(image) for image in shared] == [[one, other], [other]]
        assert [image.image_size for image in shared] == [(60, 80), (70, 90)]

    def test_fields_come_along(self):
        student = proposals([[0, 0, 10, 10]], torch.tensor([3.0]))
        teacher = proposals([[0, 0, 10, 10], [50, 50, 60, 60]], torch.tensor([7.0, -2.0]))
        shared = distinct([student], [teacher])[0]
        assert set(shared.get_fields()) == {"proposal_boxes", "objectness_logits"}
        assert isinstance(shared.proposal_boxes, Boxes)
        assert shared.objectness_logits.tolist() == [3.0, -2.0]

    def test_leaves_its_input_alone(self):
        student = [proposals([[0, 0, 10, 10], [20, 20, 40, 40]])]
        teacher = [proposals([[0, 0, 10, 10], [50, 50, 60, 60]])]
        before = copy.deepcopy((student, teacher))
        shared = distinct(student, teacher)
        shared[0].proposal_boxes.tensor.zero_()
        for old, new in zip(before, (student, teacher), strict=True):
            assert box_list(old[0]) == box_list(new[0])
            assert torch.equal(old[0].objectness_logits, new[0].objectness_logits)

    def test_carries_no_gradient(self):
        boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]], requires_grad=True)
        student = Instances((90, 110), proposal_boxes=Boxes(boxes))
        teacher = Instances((90, 110), proposal_boxes=Boxes(boxes + 30))
        shared = distinct([student], [teacher])[0]
        assert len(shared) == 2
        assert not shared.proposal_boxes.tensor.requires_grad

    def test_needs_the_same_images_of_both(self):
        one = proposals([[0, 0, 10, 10]])
        with pytest.raises(ValueError, match=r"shorter|longer"):
            share_proposals([one, one], [one])


class TestOneSource:
    student, teacher = [[0, 0, 10, 10], [20, 20, 40, 40]], [[0, 0, 10, 10]]

    def test_the_students_own(self):
        student = [proposals(self.student), proposals([])]
        shared = distinct(student, None, "student")
        assert [box_list(image) for image in shared] == [self.student, []]

    def test_the_teachers(self):
        student, teacher = [proposals(self.student)], [proposals(self.teacher)]
        shared = distinct(student, teacher, "teacher")
        assert [box_list(image) for image in shared] == [self.teacher]


class OwnLabelling(ROIHeads):
    """Takes all proposals, as a project's heads might."""

    def label_and_sample_proposals(self, proposals, targets):
        return proposals


class OwnSampling(ROIHeads):
    """Takes all proposals, too, for which half of the work is to be its own."""

    def _sample_proposals(self, matched_idxs, matched_labels, gt_classes):
        assert set(matched_labels.tolist()) <= {0, 1}
        labels = torch.full_like(matched_idxs, self.num_classes)
        if len(gt_classes):
            labels = torch.where(matched_labels == 1, gt_classes[matched_idxs], labels)
        return torch.arange(len(labels)), labels


class TestSampling:
    @staticmethod
    def heads(cls=ROIHeads, append_gt=True):
        return cls(
            num_classes=3,
            batch_size_per_image=12,
            positive_fraction=0.5,
            proposal_matcher=Matcher([0.3, 0.5], [0, -1, 1], allow_low_quality_matches=False),
            proposal_append_gt=append_gt,
        )

    @staticmethod
    def ground_truth(boxes):
        return Instances(
            (90, 110),
            gt_boxes=Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
            gt_classes=torch.arange(len(boxes)) % 3,
            gt_index=torch.arange(len(boxes)),
        )

    @staticmethod
    def sampled(sample, seed):
        """Every field of every sampled proposal, and the random state it left."""
        torch.manual_seed(seed)
        with EventStorage() as storage:
            images = sample()
            logged = {name: value for name, (value, _) in storage.latest().items()}
        fields = [
            {k: getattr(v, "tensor", v).tolist() for k, v in i.get_fields().items()} for i in images
        ]
        return fields, logged, torch.get_rng_state().tolist()

    @given(
        images=st.lists(st.tuples(boxes, boxes, boxes), min_size=1, max_size=3),
        threshold=thresholds,
        append_gt=st.booleans(),
        seed=st.integers(0, 2**31),
    )
    def test_is_detectron2s_of_the_proposals_without_near_duplicates(
        self, images, threshold, append_gt, seed
    ):
        heads, fields = self.heads(append_gt=append_gt), heads_fields(self.heads())
        student, teacher, gt = zip(*images, strict=True)
        gt = [self.ground_truth(boxes) for boxes in gt]
        shared = share_proposals(
            [proposals(s) for s in student], [proposals(t) for t in teacher], "union", threshold
        )
        ours = self.sampled(lambda: label_and_sample(heads, shared, gt), seed)
        stock = self.sampled(lambda: heads.label_and_sample_proposals(shared.distinct(), gt), seed)
        assert ours == stock
        assert heads_fields(heads) == fields  # untouched: no method is left replaced

    def test_never_takes_a_near_duplicate(self):
        shared = share_proposals(
            [proposals([[0, 0, 10, 10]])], [proposals([[0, 0, 10, 10.5], [50, 50, 60, 60]])]
        )
        for gt in ([], [[0, 0, 10, 10]], [[50, 50, 60, 60]]):
            with EventStorage():
                sampled = label_and_sample(self.heads(), shared, [self.ground_truth(gt)])
            assert [0, 0, 10, 10.5] not in box_list(sampled[0])
            assert len(sampled[0]) == 2 + len(gt)

    @pytest.mark.parametrize("source", ["student", "teacher"])
    def test_of_one_models_proposals_is_detectron2s(self, source):
        one, other = [proposals([[0, 0, 10, 10]] * 9)], [proposals([[0, 0, 30, 30]] * 9)]
        shared, heads = share_proposals(one, other, source), self.heads()
        gt = [self.ground_truth([[0, 0, 10, 10]])]
        ours = self.sampled(lambda: label_and_sample(heads, shared, gt), 0)
        expected = one if source == "student" else other
        assert ours == self.sampled(lambda: heads.label_and_sample_proposals(expected, gt), 0)

    @pytest.mark.parametrize("cls", [OwnLabelling, OwnSampling])
    @pytest.mark.parametrize("gt", [[], [[0, 0, 10, 12]]])
    def test_heads_that_sample_in_their_own_way_are_given_no_near_duplicates(self, cls, gt):
        shared = share_proposals([proposals([[0, 0, 10, 10]])], [proposals([[0, 0, 10, 10]])])
        heads = self.heads(cls, append_gt=False)
        heads.proposal_matcher = Matcher([0.5], [0, 1], allow_low_quality_matches=False)
        with EventStorage():
            sampled = label_and_sample(heads, shared, [self.ground_truth(gt)])
        assert box_list(sampled[0]) == [[0, 0, 10, 10]]

    def test_a_method_that_was_put_in_the_heads_place_is_their_own_way_too(self):
        shared = share_proposals([proposals([[0, 0, 10, 10]])], [proposals([[0, 0, 10, 10]])])
        heads = self.heads(append_gt=False)
        heads._sample_proposals = OwnSampling._sample_proposals.__get__(heads)
        with EventStorage():
            sampled = label_and_sample(heads, shared, [self.ground_truth([])])
        assert box_list(sampled[0]) == [[0, 0, 10, 10]]


def heads_fields(heads):
    return set(vars(heads))
