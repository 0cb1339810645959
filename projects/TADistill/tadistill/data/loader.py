"""The batches of a training, from any iteration on."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import build_detection_train_loader
from detectron2.data.build import trivial_batch_collator
from detectron2.data.common import AspectRatioGroupedDataset, DatasetFromList
from detectron2.utils import comm
from detectron2.utils.serialize import PicklableWrapper
from torch.utils.data import DataLoader, Dataset, Sampler

from ..errors import ConfigError
from ..randomness import IMAGES, seeded

Place = tuple[int, int]  # where in the sampler's stream, and the index of the image there


class ResumableLoader:
    """Detectron2's training batches, which an interrupted training can go on with.

    Which images come when is up to Detectron2's sampler (``DATALOADER.SAMPLER_TRAIN``) and its
    grouping by aspect ratio. Both are functions of a seed, so a place in their stream is found
    again by running through it without opening an image. An image's augmentation is seeded by its
    place too: it depends neither on the number of workers nor on what was loaded before.

    Attributes:
        current: the batch that was handed out last, of the dataset mapper's dicts; None before.
    """

    def __init__(
        self,
        dataset: Dataset,
        mapper: Callable[[dict], dict],
        make_sampler: Callable[[], Sampler],
        *,
        batch_size: int,
        shapes: Sequence[tuple[int, int]] | None = None,
        num_workers: int = 0,
    ):
        """
        Args:
            dataset: Detectron2's records.
            mapper: from a record to a model's input.
            make_sampler: the rank's sampler; whatever seed it needs it draws from NumPy.
            batch_size: images a step on this rank.
            shapes: (width, height) of each record, to keep tall and wide images in batches apart;
                None mixes them.
            num_workers: processes that load images.
        """
        self.current: list[dict] | None = None
        self._images = _SeededImages(dataset, mapper)
        self._make_sampler = make_sampler
        self._batch_size = batch_size
        self._num_workers = num_workers
        self._shapes = shapes
        self._seed, self._start = 0, 0

    @classmethod
    def from_cfg(cls, cfg: CfgNode, mapper=None) -> "ResumableLoader":
        """The loader that ``build_detection_train_loader(cfg)`` describes.

        Raises:
            ConfigError: if images are to be grouped by a shape that their records do not have, or
                the batch cannot be divided among the ranks.
        """
        stock = build_detection_train_loader.from_config(cfg, mapper=mapper)
        ranks = comm.get_world_size()
        shapes = None
        if stock["aspect_ratio_grouping"]:
            shapes = [(r.get("width"), r.get("height")) for r in stock["dataset"]]
            if (None, None) in shapes:
                raise ConfigError(
                    "DATALOADER.ASPECT_RATIO_GROUPING is True, but there are images in "
                    f"{', '.join(cfg.DATASETS.TRAIN)} whose records have no width and height; set "
                    "it to False"
                )
        # Serialised, as Detectron2 does it: workers share it, and the list of records is freed.
        records = DatasetFromList(stock["dataset"], copy=False)
        if stock["total_batch_size"] < 1 or stock["total_batch_size"] % ranks:
            raise ConfigError(
                f"SOLVER.IMS_PER_BATCH is {stock['total_batch_size']}, which cannot be divided "
                f"among {ranks} processes: it must be a multiple of that, above zero"
            )

        mapper = stock["mapper"]
        # Detectron2's main would give the sampler cfg.SEED, which may be another than the one that
        # the training began with. Without it the sampler draws one, as v0.6's does.
        unseeded = cfg.clone()
        unseeded.defrost()
        unseeded.SEED = None

        def make_sampler():
            again = build_detection_train_loader.from_config(
                unseeded, mapper=mapper, dataset=records
            )
            return again["sampler"]

        return cls(
            records,
            mapper,
            make_sampler,
            batch_size=stock["total_batch_size"] // ranks,
            shapes=shapes,
            num_workers=stock["num_workers"],
        )

    def start_at(self, iteration: int, seed: int) -> None:
        """The next ``iter()`` begins with the batch of ``iteration``.

        Args:
            iteration: from 0.
            seed: of the whole training, the same on all ranks.
        """
        self._start, self._seed = iteration, seed

    def __iter__(self) -> Iterator[list[dict]]:
        # A generator: nothing is loaded before the first batch is asked for.
        self._images.seed = self._seed
        loader = DataLoader(
            self._images,
            batch_sampler=itertools.islice(self._batches(), self._start, None),
            num_workers=self._num_workers,
            collate_fn=trivial_batch_collator,
        )
        with seeded(self._seed):  # an iterator over a DataLoader draws a seed for its workers
            batches = iter(loader)
        for self.current in batches:
            yield self.current

    def _batches(self) -> Iterator[list[Place]]:
        """All batches of the training, from its first, as places in the sampler's stream."""
        with seeded(self._seed):  # the same on all ranks
            sampler = self._make_sampler()
        places = enumerate(sampler)
        if self._shapes is None:
            while True:
                yield list(itertools.islice(places, self._batch_size))
        shaped = (
            {"width": self._shapes[index][0], "height": self._shapes[index][1], "place": (i, index)}
            for i, index in places
        )
        for batch in AspectRatioGroupedDataset(shaped, self._batch_size):
            yield [element["place"] for element in batch]


class _SeededImages(Dataset):
    """Maps the record at a place, with random numbers of its own."""

    def __init__(self, records: Dataset, mapper: Callable[[dict], dict]):
        self.seed = 0
        self._records = records
        self._mapper = PicklableWrapper(mapper)  # so that a lambda reaches the workers
        self._rank = comm.get_rank()

    def __getitem__(self, place: Place) -> dict:
        position, index = place
        with seeded(self.seed, IMAGES, self._rank, position):
            # A mapper may skip a record; as in Detectron2, another one takes its place.
            while (mapped := self._map(self._records[index])) is None:
                index = np.random.randint(len(self._records))
            return mapped

    def _map(self, record: dict) -> dict | None:
        try:
            return self._mapper(record)
        except OSError as error:
            raise OSError(
                f"the training image {record.get('file_name')} cannot be read: {error}. When it "
                "can, continue from the last checkpoint with --resume"
            ) from error
