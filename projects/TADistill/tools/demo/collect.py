"""From what the demo's trainings left on disk to rows, curves and pictures' contents."""

import json
from pathlib import Path

import cv2
import numpy as np
from trainings import Run

PICTURED = 4  # images
GATES = ("gate_logit", "gate_box", "gate_feature", "decay")


def result_rows(runs: dict, teacher: Run, costs: dict) -> list[dict]:
    """One row a model and seed; the teacher's first."""
    results = json.loads((teacher.directory / "eval_teacher/results.json").read_text())
    scores = {("teacher", 0): results["bbox"]}
    for key, run in sorted(runs.items()):
        last = next(m for m in reversed(run.metrics) if "bbox/AP" in m)
        scores[key] = {name: last[f"bbox/{name}"] for name in ("AP", "AP50", "AP75")}
    return [
        {
            "name": name,
            "seed": seed,
            **{key: score[key] for key in ("AP", "AP50", "AP75")},
            **costs[name],
        }
        for (name, seed), score in scores.items()
    ]


def ap_curve(run: Run) -> list[tuple[int, float]]:
    """(iterations done, AP) at each evaluation."""
    return [
        (min(m["iteration"] + 1, run.iterations), m["bbox/AP"])
        for m in run.metrics
        if "bbox/AP" in m
    ]


def gate_curves(run: Run) -> dict[str, list[tuple[int, float]]]:
    """By gate: (iteration, share of regions in which the teacher won); and the decay."""
    curves = {
        gate: [(m["iteration"], m[f"tad/{gate}"]) for m in run.metrics if f"tad/{gate}" in m]
        for gate in GATES
    }
    return {gate: curve for gate, curve in curves.items() if curve}


def pictured_images(output: Path, runs: dict, teacher: Run, seed: int) -> list[dict]:
    """The first val images with three digits or more: chosen before anything was detected."""
    truth = json.loads((output / "data/annotations/val.json").read_text())
    boxes_by_image = by_image(truth["annotations"])
    ids = [image["id"] for image in truth["images"] if len(boxes_by_image[image["id"]][0]) >= 3]
    files = {image["id"]: image["file_name"] for image in truth["images"]}
    folders = {name: runs[name, seed].directory for name in ("baseline", "distilled")}
    folders["teacher"] = teacher.directory / "eval_teacher"
    detections = {
        name: by_image(json.loads((folder / "inference/coco_instances_results.json").read_text()))
        for name, folder in folders.items()
    }
    nothing = (np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    images = []
    for image_id in ids[:PICTURED]:
        found = {}
        for name in folders:
            boxes, classes, scores = detections[name].get(image_id, nothing)
            found[name] = (boxes, scores, classes)
        images.append(
            {
                "image": cv2.imread(str(output / "data/val" / files[image_id]))[:, :, ::-1],
                "gt": boxes_by_image[image_id][:2],
                "detections": found,
            }
        )
    return images


def by_image(annotations: list[dict]) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """COCO annotations or detections as (XYXY boxes, classes from 0, scores) an image."""
    grouped: dict[int, list[dict]] = {}
    for annotation in annotations:
        grouped.setdefault(annotation["image_id"], []).append(annotation)
    result = {}
    for image_id, group in grouped.items():
        boxes = np.array([a["bbox"] for a in group], dtype=float)
        boxes[:, 2:] += boxes[:, :2]
        classes = np.array([a["category_id"] - 1 for a in group])
        scores = np.array([a.get("score", 1.0) for a in group])
        result[image_id] = (boxes, classes, scores)
    return result
