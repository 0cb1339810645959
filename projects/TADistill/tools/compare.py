#!/usr/bin/env python
"""Is one detector better than another, or better on these images alone?

    python projects/TADistill/tools/compare.py val.json \\
        --first baseline_seed*/inference/coco_instances_results.json \\
        --second distilled_seed*/inference/coco_instances_results.json

A paired bootstrap: images are drawn from those of ``val.json``, with replacement, and all detectors
are scored on the same draws. What their difference varies by is what other images of the same kind
would have made of it, which trainings with other seeds do not show: they are all scored on the same
images. The detections are as Detectron2's COCOEvaluator leaves them; of several the n-th of
``--first`` is paired with the n-th of ``--second``, one alone with each of the others. Needs
pip install -e ".[demo]".
"""

import argparse
import hashlib
import sys
from functools import partial
from pathlib import Path

from ablation.about import git_state, versions
from ablation.record import write_record
from pycocotools.coco import COCO
from resampling.bootstrap import CONFIDENCE, PairedBootstrap, paired_bootstrap
from resampling.detector import Detector, read_annotations
from rich.progress import track

from tadistill.errors import ConfigError


def parse_arguments(argv=None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("annotations", type=Path, help="a COCO JSON")
    for side in ("--first", "--second"):
        parser.add_argument(
            side, type=Path, nargs="+", required=True, metavar="DETECTIONS", help="a COCO JSON each"
        )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--title", help="of the comparison, in the JSON")
    parser.add_argument("--json", type=Path, help="a file to write the figures to")
    return parser.parse_args(argv)


def paired(first: list[Path], second: list[Path]) -> list[tuple[Path, Path]]:
    """The n-th of both; one alone with each of the other.

    Raises:
        ConfigError: if there are not as many of both, and not one alone of either.
    """
    if len(first) != len(second) and 1 not in (len(first), len(second)):
        raise ConfigError(
            f"--first has {len(first)} files and --second {len(second)}: give as many of both, in "
            "the same order, or one alone"
        )
    pairs = max(len(first), len(second))
    return list(zip(first * (pairs // len(first)), second * (pairs // len(second)), strict=True))


def lines(result: PairedBootstrap) -> list[str]:
    """For a reader."""
    sides = zip(*result.aps, strict=True)
    first, second = (" ".join(f"{ap:.1f}" for ap in side) for side in sides)
    text = [f"AP of --first: {first}", f"AP of --second: {second}"]
    if result.sd_over_pairs is not None:
        by_pair = ", ".join(f"{value:+.1f}" for value in result.by_pair)
        text += [
            f"{len(result.aps)} pairs: {by_pair}; standard deviation over them "
            f"{result.sd_over_pairs:.1f}"
        ]
    for name, found in {"all classes": result.overall, **result.by_class}.items():
        text += [
            f"{name}: {found.mean:+.1f} AP; over images: standard deviation "
            f"{found.sd_over_images:.1f}, {CONFIDENCE:.0%} between {found.low:+.1f} and "
            f"{found.high:+.1f}, ahead in {found.ahead:.0%} of {result.draws:,} draws of "
            f"{result.images} images"
        ]
    if result.standard_error is not None:
        text += [f"standard error by images and pairs: {result.standard_error:.1f} AP"]
    return text


def main(args: argparse.Namespace) -> None:
    """Compares, prints, and writes the JSON."""
    if args.draws < 2:
        raise ConfigError(f"--draws {args.draws}: it must be at least 2")
    if args.seed < 0:
        raise ConfigError(f"--seed {args.seed}: it must not be negative")
    if args.json and args.json.exists():
        raise ConfigError(f"--json {args.json} exists already; choose another name")
    paths = paired(args.first, args.second)
    annotations = read_annotations(args.annotations)
    detectors = {path: Detector(annotations, path) for pair in paths for path in pair}
    result = paired_bootstrap(
        [(detectors[first], detectors[second]) for first, second in paths],
        args.draws,
        args.seed,
        partial(track, description="Draws", transient=True),
    )
    print(*lines(result), sep="\n")
    if args.json:
        write_record(
            args.json, {"title": args.title, **result.as_dict(), **about(args, annotations)}
        )
        print(f"Written: {args.json}")


def about(args: argparse.Namespace, annotations: COCO) -> dict:
    """What a reader needs to judge the figures."""
    return {
        "boxes": len(annotations.getAnnIds()),
        "seed": args.seed,
        "annotations": {
            "name": args.annotations.name,
            "sha256": hashlib.sha256(args.annotations.read_bytes()).hexdigest(),
        },
        **git_state(),
        "versions": versions(),
    }


if __name__ == "__main__":
    try:
        main(parse_arguments())
    except (ConfigError, OSError) as error:  # of a folder that --json cannot be written to, say
        sys.exit(f"error: {error}")
