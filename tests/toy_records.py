"""Records of an ablation whose means and spreads can be computed by hand."""


def record(row, seed, ap, **values):
    """A record with what tables and plots want of it."""
    return {
        "row": row,
        "title": "",
        "budget": None,
        "seed": seed,
        "evaluates_teacher": False,
        "grid": "nowhere.yaml",
        "command": f"python projects/TADistill/tools/ablate.py --rows {row} --seeds {seed}",
        "iterations": 1000,
        "scores": {"AP": ap, "AP50": 60.0, "AP75": 30.0, "APs": 1.0, "APm": 2.0, "APl": None},
        "seconds_per_iteration": 0.25,
        "AP_curve": {"iteration": [500, 1000], "AP": [ap / 2, ap]},
        "gates": {"iteration": [19, 39], "gate_logit": [0.9, 0.8], "gate_box": [0.7, None]},
        "seconds": 300.0,
        "peak_rss_mib": 900.0,
        "cuda_max_memory_mib": None,
        "machine": {
            "processor": "a processor",
            "cores": 2,
            "gpu": None,
            "threads": 1,
            "runs_at_once": 2,
        },
        "depends_on": {"SEED": seed, "annotations of v": "sha256:1"},
        **values,
    }


def teacher_record(ap):
    """As :func:`record`, of a teacher."""
    return {
        **record("teacher", None, ap),
        "evaluates_teacher": True,
        "seconds_per_iteration": None,
        "AP_curve": {},
        "gates": {},
    }


def toy_records():
    """Baseline 10, 12, 14; all 13, 16 of the first two seeds; a teacher of 16."""
    return [
        teacher_record(16.0),
        *(record("baseline", seed, ap) for seed, ap in enumerate([10.0, 12.0, 14.0])),
        *(record("all", seed, ap, title="all terms") for seed, ap in enumerate([13.0, 16.0])),
    ]
