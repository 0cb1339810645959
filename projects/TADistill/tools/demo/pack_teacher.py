"""Rounds a trained teacher to half precision, for the repository to carry (2 bytes a weight).

    python pack_teacher.py output/demo/runs/teacher/student_final.pth teacher.pth

It is loaded into a float32 model again; its AP is what the demo prints for it.
"""

import argparse
from pathlib import Path

import torch


def pack(source: Path, target: Path) -> None:
    """Writes ``source``'s weights to ``target``, which must not exist, as float16."""
    if target.exists():
        raise SystemExit(f"error: {target} exists already")
    weights = torch.load(source, map_location="cpu", weights_only=True)["model"]
    halved = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }
    overflown = [name for name, tensor in halved.items() if not torch.isfinite(tensor).all()]
    if overflown:
        raise SystemExit(f"error: {source} has values that half precision cannot hold: {overflown}")
    torch.save({"model": halved, "__author__": "tadistill"}, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    pack(**vars(parser.parse_args()))
