"""What a reader types to run a row again, on a page: with the data where DATA.md puts them."""

import re
from collections.abc import Sequence
from pathlib import Path

from .command import TOOL
from .table import TableRow

# By the first word of a data set's name; {} is train, val or test.
DATA = {
    "bccd": ("output/data/bccd/{}.json", "output/data/BCCD_Dataset/BCCD/JPEGImages"),
    "foda": ("output/data/foda_mini/{}.json", "output/data/fodadataset/JPEGImages"),
    "digits": ("output/demo/data/annotations/{}.json", "output/demo/data/{}"),
}
_DATA_SET = re.compile(r"--register-coco (([a-z]+)_(\w+)) \S+ \S+")
_OPEN = {"--rows": "ROW", "--seeds": "SEED"}  # for the reader to fill in
_ROW_OR_SEED = re.compile(r"(--rows|--seeds) \S+")
_FOLDER = re.compile(r"--(output|records) \S+")


def command_again(rows: Sequence[TableRow]) -> str:
    """For any row and seed of a table; each grid has a folder of its own."""
    trained = [row for row in rows if not row.is_teacher]
    record = next(iter(trained[0].records.values()))
    assert TOOL in record["command"]
    command = _ROW_OR_SEED.sub(lambda found: f"{found[1]} {_OPEN[found[1]]}", record["command"])
    folder = f"output/again/{Path(record['grid']).stem}"
    command = _FOLDER.sub(lambda found: f"--{found[1]} {folder}", command)
    command = _DATA_SET.sub(_where_it_is_made, command)
    lines = command.replace(" --", " \\\n    --")
    return f"```bash\n{lines}\n```"


def _where_it_is_made(found: re.Match) -> str:
    name, first_word, part = found.groups()
    if first_word not in DATA:
        return found[0]
    return " ".join(["--register-coco", name, *(path.format(part) for path in DATA[first_word])])
