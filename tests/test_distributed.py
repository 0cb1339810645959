"""Two processes with half of the images each learn what one process learns from all of them."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ranks import (
    ALL_PROPOSALS,
    BALANCED,
    SCENARIOS,
    TERMS,
    Scenario,
    balanced_steps,
    distilled,
    everything,
    in_processes,
    masks_of,
    train_step,
    validation_losses,
)
from tiny import same_tensors

COMBINATIONS = list(itertools.product((0, 1), repeat=3))
ALL_TERMS = (1, 1, 1)

# Of the norm of a parameter's gradient: the sums of float32 are in another order, which on x86 made
# a difference of 1.3e-6 at most.
TOLERANCE = 5e-6


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    (directory / "model_0000004.pth").write_text("weights")
    (directory / "last_checkpoint").write_text("model_0000004.pth")
    (directory / "config.yaml").write_text("the config it was begun with")
    return directory


@pytest.fixture(scope="module")
def processes(teacher_files, run_dir, tmp_path_factory):
    """What each of two processes answered."""
    directory = tmp_path_factory.mktemp("answers")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "3")  # put back afterwards, whoever sets it
        environment.delenv("OMP_NUM_THREADS")
        answers = in_processes(everything, directory, teacher_files, COMBINATIONS, run_dir)
    return [SimpleNamespace(**answer) for answer in answers]


@pytest.fixture(scope="module")
def single(teacher_files):
    """One process's step of any combination and scenario."""
    models = {weights: distilled(teacher_files, weights) for weights in COMBINATIONS}

    def step(weights, name):
        models[weights].zero_grad()
        return train_step(models[weights], SCENARIOS[name].images(), SCENARIOS[name].weight)

    return step


def assert_same_gradients(actual, expected):
    assert list(actual) == list(expected)
    for name, gradient in expected.items():
        difference = (actual[name] - gradient).norm()
        assert difference <= TOLERANCE * gradient.norm() + 1e-9, name


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("weights", COMBINATIONS)
def test_two_processes_have_the_gradients_of_one(processes, single, weights, name):
    expected = single(weights, name)
    steps = [process.steps[weights, name] for process in processes]
    assert_same_gradients(steps[0].gradients, expected.gradients)
    assert same_tensors(steps[0].gradients, steps[1].gradients)
    # What Detectron2 logs is the average over the processes.
    for loss, value in expected.losses.items():
        average = sum(step.losses[loss] for step in steps) / 2
        assert average == pytest.approx(value, rel=1e-5, abs=1e-7), loss
    assert sum(step.proposals for step in steps) == expected.proposals


@pytest.mark.parametrize(
    ("name", "silent"),
    [
        ("an ordinary batch", ()),
        ("an image without ground truth", ()),
        ("a process without ground truth", ("feature", "box")),
        ("a process whose gates are all closed", TERMS),
    ],
)
def test_the_second_process_is_without_what_the_first_has(processes, name, silent):
    first, second = (process.steps[ALL_TERMS, name].losses for process in processes)
    for term in TERMS:
        assert first[f"loss_tad_{term}"] > 0
        assert (second[f"loss_tad_{term}"] == 0) is (term in silent)


def test_balanced_terms_have_the_scales_of_one_process_with_all_images(processes, teacher_files):
    """Also where a term is zero in one of two processes, which still asks for the norms of both."""
    expected = balanced_steps(teacher_files, lambda name: SCENARIOS[name].images())
    for step, first, second in zip(
        expected, *(process.balanced for process in processes), strict=True
    ):
        assert first.scales == second.scales
        assert first.scales == pytest.approx(step.scales, rel=1e-5)
        assert all(scale > 0 for scale in first.scales)
        assert_same_gradients(first.gradients, step.gradients)
    # Measured anew in each of the steps, and not once for all.
    assert len({tuple(step.scales) for step in expected}) == len(BALANCED)


def test_with_other_numbers_of_proposals_each_process_counts_its_own(processes, teacher_files):
    """As Detectron2's loss_cls and loss_box_reg do; the feature term alone counts all images."""
    steps = [process.uneven for process in processes]
    assert len({step.proposals for step in steps}) == 2

    model = distilled(teacher_files, ALL_TERMS, *ALL_PROPOSALS)

    def half_of_all_but_feature(name):
        return 0.0 if name == "loss_tad_feature" else 0.5

    def feature_alone(name):
        return 1.0 if name == "loss_tad_feature" else 0.0

    for rank in range(2):
        alone = train_step(model, Scenario().share(rank), share=half_of_all_but_feature)
        for name in ("loss_tad_logit", "loss_tad_box", "loss_cls"):
            assert steps[rank].losses[name] == pytest.approx(alone.losses[name], rel=1e-5)
    expected = train_step(model, Scenario().images(), share=feature_alone)
    for step in steps:
        assert_same_gradients(step.gradients, expected.gradients)


def test_the_normalizers_count_the_masks_of_all_processes(processes):
    masks = [masks_of(rank) for rank in range(2)]
    for process in processes:
        for level, normalizer in enumerate(process.normalizers):
            total = sum(masks[rank][level].double().sum().item() for rank in range(2))
            assert 2 * normalizer.item() == pytest.approx(max(1.0, total), rel=1e-6)
    assert processes[0].normalizers[1:].tolist() == [0.5, 0.5]


def test_validation_losses_do_not_wait_for_the_other_process(processes, teacher_files):
    for rank, process in enumerate(processes):
        assert len(process.validated) == 2 - rank
        assert process.validated == validation_losses(teacher_files, rank)
        assert all(losses["loss_tad_feature"] > 0 for losses in process.validated)


def test_both_may_export_the_student(processes, run_dir):
    assert processes[0].exported == processes[1].exported
    weights, config = processes[0].exported
    assert sorted(run_dir.glob("student*")) == [Path(weights), Path(config)]
    assert torch.load(weights)["model"]


def test_what_detectron2_exchanges_arrives(processes):
    first, second = (process.exchanged for process in processes)
    assert (first["ranks"], second["ranks"]) == ((0, 2, 0, 2), (1, 2, 1, 2))
    assert first["all_gather"] == second["all_gather"] == [{"of": ""}, {"of": "x"}]
    assert (first["gather"], second["gather"]) == ([[0], [1, 1]], [])
    assert first["seed"] == second["seed"]


def test_each_process_has_one_thread(processes):
    assert [process.exchanged["threads"] for process in processes] == [1, 1]


def test_a_run_is_written_over_by_none_of_them_and_resumed_once(processes, run_dir):
    for process in processes:
        refused, resumed = process.claims
        assert f"OUTPUT_DIR {run_dir} holds a run already" in refused
        assert resumed is None
    kept = sorted(path.name for path in run_dir.glob("config*"))
    assert kept == ["config.yaml", "config_before_resume_1.yaml"]
