"""The training batches: Detectron2's, and the same from any iteration on."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog, build_detection_train_loader
from tiny import plain_cfg

from tadistill.data import ResumableLoader
from tadistill.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registered_datasets")
NUM_IMAGES = 11


def records(shapes=True):
    """Tall and wide images of one category each, most of category 0."""
    return [
        {
            "file_name": f"{i}.png",
            "image_id": i,
            **({"height": 50 + 20 * (i % 3), "width": 70} if shapes else {}),
            "annotations": [{"category_id": int(i == 3), "bbox": [0, 0, 9, 9], "bbox_mode": 0}],
        }
        for i in range(NUM_IMAGES)
    ]


@pytest.fixture
def cfg():
    DatasetCatalog.register("mine", records)
    MetadataCatalog.get("mine").thing_classes = ["often", "rarely"]
    return plain_cfg("DATASETS.TRAIN", ("mine",), "SOLVER.IMS_PER_BATCH", 3)


def mapper(record):
    """An image's number, its shape's kind and the random numbers of its augmentation."""
    return {
        **{key: record[key] for key in ("image_id", "width", "height") if key in record},
        "drawn": (np.random.rand(), torch.rand(()).item()),
    }


def batches(cfg, start=0, count=12, seed=5, map_record=mapper, workers=0):
    cfg.DATALOADER.NUM_WORKERS = workers
    loader = ResumableLoader.from_cfg(cfg, map_record)
    loader.start_at(start, seed)
    return list(itertools.islice(loader, count))


def ids(batches):
    return [[x["image_id"] for x in batch] for batch in batches]


@pytest.mark.parametrize("grouping", [True, False])
@pytest.mark.parametrize("sampler", ["TrainingSampler", "RepeatFactorTrainingSampler"])
def test_the_images_are_those_of_the_stock_loader_in_its_order(cfg, sampler, grouping, monkeypatch):
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = grouping
    cfg.DATALOADER.SAMPLER_TRAIN, cfg.DATALOADER.REPEAT_THRESHOLD = sampler, 0.4
    monkeypatch.setattr("detectron2.utils.comm.shared_random_seed", lambda: 17)
    cfg.SEED = None  # which the samplers of Detectron2's main would have instead of a drawn one
    stock = build_detection_train_loader(cfg, mapper=mapper)
    expected = ids(itertools.islice(stock, 12))
    assert ids(batches(cfg)) == expected


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [1, 7])
def test_from_any_iteration_on_the_batches_are_those_of_the_whole_training(cfg, start, workers):
    whole = batches(cfg)
    np.random.seed(start), torch.manual_seed(start)
    assert batches(cfg, start, 12 - start, workers=workers) == whole[start:]


def test_every_image_is_seen_equally_often(cfg):
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = False
    seen = Counter(itertools.chain(*ids(batches(cfg, count=2 * NUM_IMAGES))))
    assert len(seen) == NUM_IMAGES
    assert set(seen.values()) == {2 * 3}


def test_tall_and_wide_images_do_not_mix(cfg):
    for batch in batches(cfg):
        assert len({x["width"] > x["height"] for x in batch}) == 1


def test_another_seed_gives_another_order_and_other_augmentations(cfg):
    one, other = batches(cfg, seed=1), batches(cfg, seed=2)
    assert ids(one) != ids(other)
    drawn = [x["drawn"] for batch in [*one, *other] for x in batch]
    assert len(set(drawn)) == len(drawn)  # also from one epoch to the next


def test_loading_leaves_the_random_state_as_it_is(cfg):
    loader = ResumableLoader.from_cfg(cfg, mapper)
    states = np.random.get_state()[1].tolist(), torch.get_rng_state()
    next(iter(loader))
    assert np.random.get_state()[1].tolist() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])


def test_ranks_see_different_images_with_different_augmentations(cfg, monkeypatch):
    cfg.DATALOADER.ASPECT_RATIO_GROUPING, cfg.SOLVER.IMS_PER_BATCH = False, 2
    single = list(itertools.chain(*ids(batches(cfg, count=10))))
    monkeypatch.setattr("detectron2.utils.comm.get_world_size", lambda: 2)
    monkeypatch.setattr("tadistill.data.loader.comm.all_gather", lambda x: [x], raising=False)
    by_rank = []
    for rank in (0, 1):
        monkeypatch.setattr("detectron2.utils.comm.get_rank", lambda rank=rank: rank)
        by_rank.append(batches(cfg, count=10))
        assert [len(batch) for batch in by_rank[rank]] == [1] * 10
    in_turn = itertools.chain(*zip(*map(ids, by_rank), strict=True))
    assert list(itertools.chain(*in_turn)) == single
    drawn = [x["drawn"] for batch in itertools.chain(*by_rank) for x in batch]
    assert len(set(drawn)) == 20


def test_another_image_takes_the_place_of_one_that_the_mapper_skips(cfg):
    def skips(record):
        return mapper(record) if record["image_id"] % 2 else None

    found = batches(cfg, map_record=skips)
    assert all(len(batch) == 3 for batch in found)
    assert {i % 2 for i in itertools.chain(*ids(found))} == {1}
    assert found == batches(cfg, map_record=skips)


def test_an_image_that_is_gone_is_named(cfg):
    def read(record):
        Path("nowhere", record["file_name"]).read_bytes()

    with pytest.raises(OSError, match=r"the training image \d+\.png cannot be read: .*--resume"):
        batches(cfg, map_record=read)


def test_the_last_batch_is_at_hand(cfg):
    loader = ResumableLoader.from_cfg(cfg, mapper)
    assert loader.current is None
    for batch in itertools.islice(loader, 3):
        assert loader.current is batch


def test_images_without_a_shape_cannot_be_grouped_by_it(cfg):
    DatasetCatalog.register("shapeless", lambda: records(shapes=False))
    MetadataCatalog.get("shapeless").thing_classes = ["often", "rarely"]
    cfg.DATASETS.TRAIN = ("shapeless",)
    with pytest.raises(ConfigError, match=r"ASPECT_RATIO_GROUPING is True, .* in shapeless"):
        batches(cfg)
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = False
    assert len(batches(cfg)) == 12


@pytest.mark.parametrize("batch", [3, 0, -2])
def test_a_batch_that_cannot_be_divided_is_an_error(cfg, monkeypatch, batch):
    cfg.SOLVER.IMS_PER_BATCH = batch
    monkeypatch.setattr("detectron2.utils.comm.get_world_size", lambda: 2)
    monkeypatch.setattr("detectron2.utils.comm.all_gather", lambda x: [x])
    with pytest.raises(ConfigError, match=rf"IMS_PER_BATCH is {batch}, .* among 2 processes"):
        batches(cfg)
