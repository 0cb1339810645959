"""One Pascal VOC XML."""

import xml.etree.ElementTree as ET
from pathlib import Path
from xml.parsers import expat

from .errors import ConversionError


def read_xml(path: Path) -> ET.Element:
    """The root of a VOC XML.

    A DOCTYPE is refused: no annotation needs one, and entities declared there can make a small file
    fill the memory.

    Raises:
        ConversionError: naming the file, if it is not there, no XML, or no ``<annotation>``.
    """
    tree = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(path.read_bytes(), True)
        root = tree.close()
    except FileNotFoundError:
        raise ConversionError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error}") from error
    # LookupError: of an encoding that the first line names and Python does not know.
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ConversionError(f"{path} is not an XML that can be read: {error}") from error
    if root.tag != "annotation":
        raise ConversionError(f"{path} is no Pascal VOC annotation: its root is <{root.tag}>")
    return root


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it has a DOCTYPE, which is refused; take it out")
