"""Pascal VOC XML made COCO JSON: what ``voc_to_coco.py`` is made of. Pillow is all it needs."""
