"""What the checks found that stops nobody: said once the log is open."""

import logging
from collections.abc import Iterable
from typing import NamedTuple

logger = logging.getLogger(__name__)


class Notice(NamedTuple):
    """A line for the log.

    Attributes:
        text: one line that names the config key.
        warns: whether the user should look at it.
    """

    text: str
    warns: bool = False


def log_notices(notices: Iterable[Notice]) -> None:
    """Writes each as a line of the log, as INFO or as WARNING."""
    for notice in notices:
        logger.log(logging.WARNING if notice.warns else logging.INFO, notice.text)
