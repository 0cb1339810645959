"""Leaves behind what ``train_net.py`` does, without training anything: a line of metrics every
FAKE_SECONDS seconds, of which a checkpoint remembers the last.
"""

import json
import os
import sys
import time
from pathlib import Path

arguments = sys.argv[1:]
words = arguments[arguments.index("OUTPUT_DIR") :]
opts = dict(zip(words[::2], words[1::2], strict=True))
directory = Path(opts["OUTPUT_DIR"])
directory.mkdir(parents=True, exist_ok=True)
print("called", "resumed" if "--resume" in arguments else "", flush=True)

if "--eval-teacher" in arguments:
    (directory / "eval_teacher").mkdir()
    scores = {"AP": 50.0, "AP50": 60.0, "AP75": 40.0, "APs": None, "APm": 1.0, "APl": 2.0}
    (directory / "eval_teacher/results.json").write_text(json.dumps({"bbox": scores}))
    sys.exit()

checkpoint = directory / "model_0000000.pth"
if checkpoint.exists() != ("--resume" in arguments):
    sys.exit("error: --resume, but nothing to resume, or the other way round")
start = int(checkpoint.read_text()) if checkpoint.exists() else 0
if opts.get("MODEL.TADISTILL.FEATURE.SIGMA") == "3.0":
    sys.exit("error: sigma")
iterations = int(opts["SOLVER.MAX_ITER"])
with open(directory / "metrics.json", "a") as metrics:
    for iteration in range(start, iterations):
        checkpoint.write_text(str(iteration))
        scalars = {"iteration": iteration, "total_loss": 1.0, "time": 0.1}
        print(json.dumps(scalars), file=metrics, flush=True)
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0.01")))
    scalars = {"iteration": iterations, "bbox/AP": 30.0 + int(opts["SEED"]), "bbox/AP50": 40.0}
    print(json.dumps(scalars), file=metrics)
