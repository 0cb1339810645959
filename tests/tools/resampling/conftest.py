"""A small data set, and detectors of a stated quality."""

import json

import numpy as np
import pytest

CLASSES = 3
SIZE = 100


def data_set(rng, images=8, boxes=6):
    """COCO annotations with up to ``boxes`` boxes an image, an image without any among them."""
    annotations = []
    for image in range(images):
        for _ in range(rng.integers(1, boxes + 1) if image else 0):
            x, y = rng.uniform(0, SIZE / 2, 2).tolist()
            w, h = rng.uniform(5, SIZE / 2, 2).tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 10 + image,
                    "category_id": int(rng.integers(CLASSES)) + 1,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
    return {
        "images": [
            {"id": 10 + i, "file_name": f"{i}.jpg", "width": SIZE, "height": SIZE}
            for i in range(images)
        ],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": f"class {i}"} for i in range(CLASSES)],
    }


def detections(rng, data, error):
    """Each box once, moved by ``error`` pixels or so, and a false one beside each."""
    found = []
    for box in data["annotations"]:
        for false in (0, 30):
            moved = np.array(box["bbox"]) + rng.normal(0, error, 4) + [false, false, 0, 0]
            found.append(
                {
                    "image_id": box["image_id"],
                    "category_id": box["category_id"],
                    "bbox": np.maximum(moved, 1).tolist(),
                    "score": round(float(rng.random()), 2),  # with ties
                }
            )
    return found


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def data(rng):
    return data_set(rng)


@pytest.fixture
def write(tmp_path):
    """Writes a JSON, and returns its path."""

    def written(name, content):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return written


@pytest.fixture
def files(rng, data, write):
    """The annotations, those of a poor detector and those of a good one."""
    return (
        write("val.json", data),
        write("poor.json", detections(rng, data, 4.0)),
        write("good.json", detections(rng, data, 1.0)),
    )
