"""A small data set as Pascal VOC lays it out, written for one test."""

from PIL import Image
from voc.convert import convert
from voc.corners import Corners
from voc.images import EXIF_ORIENTATION
from voc.rules import Rules

WIDTH, HEIGHT = 80, 60
CLASSES = ["cat", "dog", "bird"]


def voc_object(name, box, **tags):
    corners = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(Corners._fields, box, strict=True)
    )
    others = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags.items())
    return f"<object><name>{name}</name>{others}<bndbox>{corners}</bndbox></object>"


def voc_xml(*objects, size=(WIDTH, HEIGHT)):
    sides = f"<width>{size[0]}</width><height>{size[1]}</height>" if size else ""
    size = f"<size>{sides}<depth>3</depth></size>" if size else ""
    return f"<annotation><filename>wrong.png</filename>{size}{''.join(objects)}</annotation>"


class Folder:
    """XMLs and images of a data set, in the layout of Pascal VOC."""

    def __init__(self, root):
        self.root, self.xmls, self.images = root, root / "Annotations", root / "JPEGImages"
        self.xmls.mkdir(parents=True)
        self.images.mkdir()

    def add(self, stem, xml, ending=".jpg", size=(WIDTH, HEIGHT), orientation=1):
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        Image.new("RGB", size).save(self.images / (stem + ending), exif=exif)
        (self.xmls / f"{stem}.xml").write_text(xml)
        return stem

    def convert(self, *names, rules=None, **others):
        return convert(self.xmls, self.images, names, CLASSES, rules, **others)

    def convert_one(self, *objects, size=(WIDTH, HEIGHT), **rules):
        stem = self.add("one", voc_xml(*objects, size=size))
        return self.convert(stem, rules=Rules(**rules))
