"""Weights by gradients: measured as stated, held in between, the same everywhere."""

import copy
import math
from functools import partial
from importlib import import_module

import pytest
import torch
from detectron2.modeling import FPN
from detectron2.utils.events import EventStorage
from hypothesis import given
from hypothesis import strategies as st
from tiny import (
    batch,
    build,
    clone,
    gradients,
    liven,
    plain_cfg,
    same_tensors,
    student_cfg,
    term_weights,
)
from torch.utils.checkpoint import checkpoint

from tadistill.balance import GradientBalance, forget_balance, gradient_norms, smoothed
from tadistill.errors import ConfigError
from tadistill.options import TERMS

ON = ("MODEL.TADISTILL.BALANCE.ENABLED", True)
FRACTIONS = (
    *("MODEL.TADISTILL.BALANCE.FEATURE", 0.25, "MODEL.TADISTILL.BALANCE.LOGIT", 0.5),
    *("MODEL.TADISTILL.BALANCE.BOX", 2.0, "MODEL.TADISTILL.BALANCE.LIMIT", [1e-6, 1e6]),
)
LIMIT = (0.01, 100.0)


def distilled(teacher_files, *opts, weight=1.0):
    model = liven(build(student_cfg(teacher_files, *ON, *opts)))
    model.distillation_weight = weight
    return model


def losses_of(model, iteration=0, inputs=None, seed=11):
    """The losses of a step, and the student's feature maps that they came from."""
    maps = []
    hook = model.backbone.register_forward_hook(lambda *args: maps.append(args[-1]))
    torch.manual_seed(seed)
    with EventStorage(iteration):
        losses = model(inputs or batch())
    hook.remove()
    return losses, list(maps[0].values())


def norm(loss, maps):
    """|dL / dF|, in float64 from the elements of all gradients, one after the other."""
    grads = torch.autograd.grad(loss, maps, retain_graph=True, allow_unused=True)
    return math.sqrt(sum(g.double().square().sum().item() for g in grads if g is not None))


def scales(model):
    return dict(zip(("feature", "logit", "box"), model.balance.scales.tolist(), strict=True))


class TestTheScales:
    def test_make_each_terms_gradient_its_fraction_of_the_detection_losses(self, teacher_files):
        model = distilled(teacher_files, *FRACTIONS)
        losses, maps = losses_of(model)
        detection = norm(sum(v for k, v in losses.items() if "tad" not in k), maps)
        for name, fraction in (("feature", 0.25), ("logit", 0.5), ("box", 2.0)):
            ratio = norm(losses[f"loss_tad_{name}"], maps) / detection
            assert ratio == pytest.approx(fraction, rel=1e-5)

    def test_are_the_ratio_of_two_trainings_gradients(self, teacher_files):
        """Each loss in a graph and a model of its own, that knows of no balance."""
        measured = distilled(teacher_files, *FRACTIONS)
        losses_of(measured)

        def alone(keep):
            model = liven(build(student_cfg(teacher_files)))
            model.distillation_weight = 1.0
            losses, maps = losses_of(model)
            for x in maps:
                x.retain_grad()
            sum(loss for name, loss in losses.items() if keep(name)).backward()
            return math.sqrt(
                sum(x.grad.double().square().sum().item() for x in maps if x.grad is not None)
            )

        detection = alone(lambda name: "tad" not in name)
        for name, fraction in (("feature", 0.25), ("logit", 0.5), ("box", 2.0)):
            expected = (
                fraction * detection / alone(lambda key, name=name: key == f"loss_tad_{name}")
            )
            assert scales(measured)[name] == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("factor", [0.5, 3.0])
    def test_do_not_depend_on_lambda_or_w_which_still_multiply(self, teacher_files, factor):
        plain, weighted, decayed = (
            distilled(teacher_files),
            distilled(teacher_files, *term_weights(factor, factor, factor)),
            distilled(teacher_files, weight=factor / 10),
        )
        expected, _ = losses_of(plain)
        for model, times in ((weighted, factor), (decayed, factor / 10)):
            losses, _ = losses_of(model)
            torch.testing.assert_close(model.balance.scales, plain.balance.scales)
            for name, loss in losses.items():
                scale = times if "tad" in name else 1.0
                torch.testing.assert_close(loss, scale * expected[name])

    def test_are_measured_when_the_period_divides_the_iteration_and_held_in_between(
        self, teacher_files
    ):
        model = distilled(
            teacher_files,
            *("MODEL.TADISTILL.BALANCE.PERIOD", 3, "MODEL.TADISTILL.BALANCE.MOMENTUM", 0.75),
        )
        seen = []
        for iteration in range(7):
            losses_of(model, iteration, batch(seed=iteration))
            seen.append(model.balance.scales.tolist())
        assert seen[0] == seen[1] == seen[2] != seen[3] == seen[4] == seen[5] != seen[6]

        # A measurement of its own at iteration 3, from the same weights and running statistics.
        fresh = distilled(teacher_files)
        losses_of(fresh, 0, batch(seed=3))
        alone = fresh.balance.scales.tolist()
        expected = [a**0.75 * b**0.25 for a, b in zip(seen[0], alone, strict=True)]
        assert seen[3] == pytest.approx(expected, rel=1e-5)

    def test_are_measured_in_the_first_step_wherever_a_loop_begins_to_count(self, teacher_files):
        """A storage of its own in each step, say, is at the same iteration for ever."""
        at_zero, elsewhere = (distilled(teacher_files) for _ in range(2))
        losses_of(at_zero, 0)
        losses_of(elsewhere, 1)
        assert scales(elsewhere) == scales(at_zero) != dict.fromkeys(TERMS, 0.0)
        measured = scales(elsewhere)
        losses_of(elsewhere, 1, batch(seed=5))
        assert scales(elsewhere) == measured
        forget_balance(elsewhere)
        losses_of(elsewhere, 7, batch(seed=5))
        assert 0 < scales(elsewhere)["logit"] != measured["logit"]

    def test_of_a_training_that_goes_on_are_those_that_it_had(self, teacher_files):
        before, after = (distilled(teacher_files) for _ in range(2))
        losses_of(before, 0)
        after.load_state_dict(before.state_dict())
        losses_of(after, 7, batch(seed=5))
        assert scales(after) == scales(before)

    def test_of_a_term_that_is_off_are_never_measured(self, teacher_files):
        model = distilled(teacher_files, *term_weights(1, 0, 1))
        losses, _ = losses_of(model)
        assert scales(model)["logit"] == 0
        assert set(model.balance_scales) == {"feature", "box"}
        assert "loss_tad_logit" not in losses

    def test_stay_where_a_term_has_no_gradient(self, teacher_files):
        model = distilled(teacher_files)
        losses_of(model, 0)
        before = scales(model)
        losses, _ = losses_of(model, 20, batch((0, 0)))  # nothing for features and boxes
        assert losses["loss_tad_feature"] == losses["loss_tad_box"] == 0
        after = scales(model)
        assert (after["feature"], after["box"]) == (before["feature"], before["box"])
        assert after["logit"] != before["logit"]

    def test_are_zero_until_there_has_been_a_gradient(self, teacher_files):
        model = distilled(teacher_files)
        losses, _ = losses_of(model, 0, batch((0, 0)))
        assert scales(model)["feature"] == scales(model)["box"] == 0 < scales(model)["logit"]
        losses, _ = losses_of(model, 1)
        assert losses["loss_tad_feature"] == losses["loss_tad_box"] == 0
        assert losses["loss_tad_feature"].requires_grad
        sum(losses.values()).backward()
        assert all(g is not None and g.isfinite().all() for g in gradients(model).values())
        losses, _ = losses_of(model, 20)
        assert losses["loss_tad_feature"] > 0


class TestMeasuring:
    def test_changes_nothing_but_the_scales(self, teacher_files):
        """With scales of 1 that stay, a step is bitwise that without any balance."""
        fixed = ("MODEL.TADISTILL.BALANCE.LIMIT", [1.0, 1.0])
        results = []
        for model in (
            distilled(teacher_files, *fixed),
            distilled(teacher_files, "MODEL.TADISTILL.BALANCE.ENABLED", False),
        ):
            losses, _ = losses_of(model)
            assert all(g is None for g in gradients(model).values())
            random_state = torch.get_rng_state()
            sum(losses.values()).backward()
            results.append((losses, gradients(model), {"random": random_state}))
        for measured, plain in zip(*results, strict=True):
            assert same_tensors(measured, plain)

    def test_does_not_happen_at_a_weight_of_zero(self, teacher_files, monkeypatch):
        model = distilled(teacher_files)
        losses_of(model)
        assert model.balance_scales
        model.distillation_weight = 0.0
        monkeypatch.setattr(GradientBalance, "forward", None)
        losses, _ = losses_of(model)
        assert losses["loss_tad_feature"] == 0
        assert model.balance_scales == {}

    def test_does_not_happen_without_terms(self, teacher_files, monkeypatch):
        model = distilled(teacher_files, *term_weights(0, 0, 0))
        monkeypatch.setattr("tadistill.balance.gradient_norms", None)
        losses_of(model)

    def test_does_not_happen_without_gradients(self, teacher_files):
        """In what a hook runs in train mode to look at losses, or for ``TEST.PRECISE_BN``."""
        model = distilled(teacher_files)
        with torch.no_grad():
            losses, _ = losses_of(model)
        assert scales(model) == dict.fromkeys(scales(model), 0.0)
        losses_of(model)
        measured = scales(model)
        assert all(measured.values())
        with torch.no_grad():
            again, _ = losses_of(model)
        assert scales(model) == measured
        assert all(again[name] > losses[name] == 0 for name in losses if "tad" in name)

    def test_again_before_a_backward_pass_does_not_disturb_it(self, teacher_files):
        """Gradients of several batches, accumulated."""
        model = distilled(teacher_files)
        first, _ = losses_of(model, 0)
        second, _ = losses_of(model, 20, batch(seed=5))
        sum([*first.values(), *second.values()]).backward()
        assert all(g.isfinite().all() for g in gradients(model).values())

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_under_autocast_is_close_to_that_in_float32(self, teacher_files, dtype):
        # Of the feature term and the RPN alone, which do not depend on the regions sampled.
        exact, rough = (distilled(teacher_files, *term_weights(1, 0, 0)) for _ in range(2))
        losses_of(exact)
        with torch.autocast("cpu", dtype=dtype):
            losses_of(rough)
        assert rough.balance.scales.dtype == torch.float32
        assert scales(rough)["feature"] == pytest.approx(scales(exact)["feature"], rel=0.2)

    def test_a_gradient_too_small_for_float16_is_not_lost(self):
        maps = [torch.randn(1, 4, 8, 8).half().requires_grad_()]
        small, large = ((s * maps[0].float()).sum() for s in (1e-8, 1e-4))
        assert not torch.autograd.grad(small, maps, retain_graph=True)[0].any()
        norms = gradient_norms([small, large], maps)
        assert norms[1] / norms[0] == pytest.approx(1e4, rel=0.01)

    def test_of_maps_that_nothing_trains_is_refused(self):
        """A backbone that was frozen after the model was built: nobody could say so before."""
        with pytest.raises(ConfigError, match="backbone is frozen"):
            gradient_norms([torch.ones((), requires_grad=True)], [torch.ones(2)])

    @pytest.mark.parametrize("sent", [False, True])
    def test_through_a_part_that_was_compiled_is_as_ever(self, teacher_files, monkeypatch, sent):
        """Also where the backward pass that was compiled is that of a step without measurement."""
        plain, compiled = (distilled(teacher_files) for _ in range(2))
        if sent:  # to another process, where torch has its own settings
            settings = import_module("torch._functorch.config")
            if hasattr(settings, "donated_buffer"):
                monkeypatch.setattr(settings, "donated_buffer", True)
            compiled = copy.deepcopy(compiled)
        compiled.proposal_generator.rpn_head.compile(backend="aot_eager")
        for model in (plain, compiled):
            model.balance.scales.fill_(1.0)
            for iteration in (1, 20, 21):
                losses, _ = losses_of(model, iteration)
                sum(losses.values()).backward()
        assert scales(compiled) == pytest.approx(scales(plain), rel=1e-4)
        assert scales(plain)["logit"] != 1.0

    def test_through_what_is_checkpointed_needs_torchs_newer_way(self, teacher_files):
        plain, newer, older = (distilled(teacher_files) for _ in range(3))
        for model, reentrant in ((newer, False), (older, True)):
            head = model.roi_heads.box_head
            head.forward = partial(checkpoint, head.forward, use_reentrant=reentrant)
        losses_of(plain)
        losses_of(newer)
        assert scales(newer) == scales(plain)
        with pytest.raises(ConfigError, match=r"BALANCE .* use_reentrant=True: .*=False"):
            losses_of(older)

    def test_another_error_on_the_way_back_is_not_hidden(self):
        class Broken(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.sum()

            @staticmethod
            def backward(ctx, gradient):
                raise RuntimeError("out of memory")

        maps = [torch.zeros(1, 2, 3, 3, requires_grad=True)]
        with pytest.raises(RuntimeError, match="out of memory"):
            gradient_norms([Broken.apply(maps[0])], maps)

    def test_of_maps_that_were_frozen_since_leaves_the_scales(self, teacher_files, tadistill_log):
        model = distilled(teacher_files)
        losses_of(model)
        before = scales(model)
        model.backbone.requires_grad_(False)
        losses, _ = losses_of(model, 20, batch(seed=5))
        assert scales(model) == before
        assert losses["loss_tad_logit"].requires_grad
        assert "The scales stay" in tadistill_log.text

    def test_a_loss_that_does_not_reach_the_maps_has_no_gradient(self):
        maps = [torch.zeros(1, 2, 3, 3, requires_grad=True), torch.zeros(1, 2, 1, 1)]
        elsewhere = torch.zeros((), requires_grad=True)
        norms = gradient_norms([2 * elsewhere, maps[0].sum() + maps[1].sum()], maps)
        assert norms[0] == 0 < norms[1]


numbers = st.floats(-3, 3).map(lambda exponent: 10**exponent)


class TestSmoothing:
    @given(first=numbers, rest=st.lists(numbers, max_size=5), momentum=st.floats(0, 0.99))
    def test_is_the_average_of_logarithms_within_the_limits(self, first, rest, momentum):
        scale = torch.zeros(())
        for measured in (first, *rest):
            scale = smoothed(scale, torch.tensor(measured), momentum, LIMIT)
        log = math.log(min(max(first, 0.01), 100))
        for measured in rest:
            log = momentum * log + (1 - momentum) * math.log(min(max(measured, 0.01), 100))
        assert scale.item() == pytest.approx(math.exp(log), rel=1e-4)

    @pytest.mark.parametrize("measured", [0.0, math.inf, math.nan])
    @pytest.mark.parametrize("scale", [0.0, 0.3])
    def test_learns_nothing_from_what_is_no_ratio(self, measured, scale):
        kept = smoothed(torch.tensor(scale), torch.tensor(measured), 0.9, LIMIT)
        assert kept == torch.tensor(scale)


class TestItsState:
    def test_is_one_buffer_of_the_checkpoint_that_a_plain_student_does_without(self, teacher_files):
        with_balance, without = distilled(teacher_files), build(student_cfg(teacher_files))
        names = [name for name in with_balance.state_dict() if name not in without.state_dict()]
        assert names == ["balance.scales"]
        assert list(with_balance.student.state_dict()) == list(build(plain_cfg()).state_dict())
        assert not list(with_balance.balance.parameters())

    def test_is_not_there_where_it_is_off_or_nothing_is_distilled(self, teacher_files):
        for opts in ((), (*ON, "MODEL.TADISTILL.ENABLED", False), (*ON, *term_weights(0, 0, 0))):
            model = build(student_cfg(teacher_files, *opts))
            assert not any("balance" in name for name in model.state_dict())

    def test_goes_on_where_it_was(self, teacher_files):
        model, resumed = distilled(teacher_files), distilled(teacher_files)
        losses_of(model)
        resumed.load_state_dict(clone(model.state_dict()))
        mine, theirs = (losses_of(m, 7, batch(seed=8))[0] for m in (model, resumed))
        assert same_tensors(mine, theirs)


def test_a_backbone_that_is_frozen_has_no_gradients_to_measure(teacher_files, monkeypatch):
    init = FPN.__init__

    def frozen(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.requires_grad_(False)

    monkeypatch.setattr(FPN, "__init__", frozen)
    with pytest.raises(ConfigError, match=r"MODEL\.TADISTILL\.BALANCE measures gradients"):
        build(student_cfg(teacher_files, *ON))
    build(student_cfg(teacher_files))
    build(student_cfg(teacher_files, *ON, *term_weights(0, 0, 0)))


def test_there_is_nothing_to_forget_of_a_model_without_a_balance(teacher_files):
    forget_balance(distilled(teacher_files, "MODEL.TADISTILL.BALANCE.ENABLED", False))
    forget_balance(torch.nn.Linear(1, 1))
