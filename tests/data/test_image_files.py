"""Image files: all there, a few of them opened."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from tadistill.data import image_files
from tadistill.data.image_files import missing_files, unusable_images


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        (tmp_path / name).write_text("an image")
    return tmp_path


class TestMissingFiles:
    def test_none(self, folder):
        assert missing_files(str(folder), ["a.jpg", "sub/c.jpg", "b.jpg"]) == []
        assert missing_files(str(folder), []) == []

    def test_some_in_their_order(self, folder):
        names = ["z.jpg", "a.jpg", "sub/a.jpg", "none/c.jpg", "c.jpg", "b.jpg/c.jpg"]
        assert missing_files(str(folder), names) == [n for n in names if n != "a.jpg"]

    def test_a_folder_is_no_image(self, folder):
        assert missing_files(str(folder), ["sub"]) == ["sub"]

    def test_a_link_is_followed(self, folder):
        (folder / "good.jpg").symlink_to(folder / "a.jpg")
        (folder / "dangling.jpg").symlink_to(folder / "moved.jpg")
        assert missing_files(str(folder), ["good.jpg", "dangling.jpg"]) == ["dangling.jpg"]

    def test_names_may_be_paths_from_anywhere(self, folder):
        names = [str(folder / "a.jpg"), str(folder / "no.jpg"), "../b.jpg"]
        assert missing_files(str(folder / "sub"), names) == [names[1]]

    def test_a_folder_that_may_not_be_listed(self, folder, monkeypatch):
        def forbidden(path):
            raise PermissionError(path)

        monkeypatch.setattr(os, "scandir", forbidden)
        assert missing_files(str(folder), ["a.jpg", "no.jpg"]) == ["no.jpg"]

    def test_an_address_is_left_alone(self):
        assert missing_files("s3://bucket/images", ["a.jpg"]) == []

    def test_each_folder_is_asked_once(self, folder, monkeypatch):
        asked = []

        def scandir(path):
            asked.append(str(path))
            return original(path)

        original = os.scandir
        monkeypatch.setattr(os, "scandir", scandir)
        monkeypatch.setattr(os.path, "isfile", lambda path: pytest.fail(f"looked at {path}"))
        assert missing_files(str(folder), ["a.jpg", "sub/c.jpg", "b.jpg", "a.jpg"]) == []
        assert sorted(asked) == [str(folder), str(folder / "sub")]


class TestUnusableImages:
    @pytest.fixture
    def images(self, tmp_path):
        for i in range(40):
            cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((6, 8, 3), np.uint8))
        return [{"file_name": f"{i}.png", "width": 8, "height": 6} for i in range(40)]

    def test_none(self, images, tmp_path):
        assert unusable_images(str(tmp_path), images) == []
        assert unusable_images(str(tmp_path), images[:1]) == []

    def test_sides_that_are_swapped(self, images, tmp_path):
        for image in images:
            image["width"], image["height"] = image["height"], image["width"]
        found = unusable_images(str(tmp_path), images)
        assert len(found) == 16
        assert found[0] == "0.png is 8 x 6, not 6 x 8"
        assert found[-1] == "39.png is 8 x 6, not 6 x 8"

    def test_a_file_that_is_no_image(self, images, tmp_path):
        (tmp_path / "0.png").write_text("<html>not found</html>")
        (found,) = unusable_images(str(tmp_path), images)
        assert found.startswith("0.png cannot be read: UnidentifiedImageError: ")

    @pytest.mark.parametrize("depth", [np.uint16, np.int32, np.float32])
    def test_more_than_eight_bits_a_channel(self, images, tmp_path, depth):
        """Of which Detectron2 makes white what is above 255, and sees the rest as it is."""
        pixels = np.full((6, 8), 200, depth)
        Image.fromarray(pixels).save(tmp_path / "0.tif")
        images[0]["file_name"] = "0.tif"
        assert unusable_images(str(tmp_path), images) == []
        pixels[2, 3] = 256
        Image.fromarray(pixels).save(tmp_path / "0.tif")
        (found,) = unusable_images(str(tmp_path), images)
        assert found.startswith("0.tif has values above 255, which Detectron2 clips: save it")

    def test_a_file_that_is_cut_short(self, images, tmp_path):
        cv2.imwrite(
            str(tmp_path / "0.jpg"),
            np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8),
        )
        content = (tmp_path / "0.jpg").read_bytes()
        (tmp_path / "0.jpg").write_bytes(content[: len(content) // 2])
        images[0] = {"file_name": "0.jpg", "width": 80, "height": 60}
        (found,) = unusable_images(str(tmp_path), images)
        assert found.startswith("0.jpg cannot be read: OSError: ")

    def test_a_rotated_photo_has_the_size_that_detectron2_sees(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # on its side
        Image.new("RGB", (8, 6)).save(tmp_path / "photo.jpg", exif=exif)
        image = {"file_name": "photo.jpg", "width": 6, "height": 8}
        assert unusable_images(str(tmp_path), [image]) == []

    def test_opens_a_few_alone(self, images, tmp_path, monkeypatch):
        opened = []

        def read_image(path, format):
            opened.append(os.path.basename(path))
            return np.zeros((6, 8, 3))

        monkeypatch.setattr(image_files, "read_image", read_image)
        unusable_images(str(tmp_path), images, most=3)
        assert opened == ["0.png", "20.png", "39.png"]

    def test_an_address_is_left_alone(self, images):
        assert unusable_images("s3://bucket/images", images) == []
