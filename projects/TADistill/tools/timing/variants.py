"""The table of variants of a distilled step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tadistill.errors import ConfigError

TABLE = Path(__file__).with_name("variants.yaml")


@dataclass(frozen=True)
class Variant:
    """
    Attributes:
        name: what tables call it.
        opts: config keys and values.
        weight: w(t).
    """

    name: str
    opts: tuple = ()
    weight: float = 1.0


def read_variants(path: Path = TABLE, names: Sequence[str] = ()) -> list[Variant]:
    """The variants of a YAML file, or those of ``names``; the file's first is always among them.

    Raises:
        ConfigError: if the file has no variant of such a name, or keys without a value.
    """
    table = yaml.safe_load(path.read_text())
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ConfigError(f"{path} has no variant {unknown[0]!r}; it has {', '.join(table)}")
    first = next(iter(table))
    return [_variant(n, table[n], path) for n in table if not names or n in (first, *names)]


def _variant(name: str, opts: list, path: Path) -> Variant:
    if len(opts) % 2:
        raise ConfigError(f"{path}: the variant {name!r} has a key without a value: {opts}")
    values = dict(zip(opts[::2], opts[1::2], strict=True))
    weight = values.pop("weight", 1.0)
    return Variant(name, tuple(part for item in values.items() for part in item), weight)
