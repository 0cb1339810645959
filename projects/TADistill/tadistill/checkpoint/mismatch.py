"""What a file of weights and a model do not have in common, in words."""

from collections.abc import Sequence


def describe_mismatch(
    surplus: list[str],
    missing: list[str],
    shapes: list[tuple[str, Sequence[int], Sequence[int]]],
) -> str:
    """What a file and a model do not have in common, a line each; empty if there is nothing.

    Args:
        surplus: names in the file, but not in the model.
        missing: names in the model, but not in the file.
        shapes: name, shape in the file and shape in the model, where they differ.
    """
    misshapen = [
        f"{name} (file {tuple(in_file)}, model {tuple(in_model)})"
        for name, in_file, in_model in shapes
    ]
    lines = []
    if surplus:
        lines.append(f"In the file, but not in the model ({len(surplus)}): {_first(surplus)}")
    if missing:
        lines.append(f"Not in the file ({len(missing)}): {_first(missing)}")
    if misshapen:
        lines.append(f"Of another shape ({len(misshapen)}): {_first(misshapen)}")
    return "\n".join(lines)


def _first(items: list[str], limit: int = 8) -> str:
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f", and {rest} more" if rest > 0 else "")
