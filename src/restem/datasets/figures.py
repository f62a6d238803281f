"""The figures of a report: PNG and SVG files by name, versioned as one folder."""

import base64
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import ImagePreview

from restem.datasets.folder import FILES_MANIFEST, Place
from restem.datasets.versions import PinnedVersions
from restem.store.fingerprints import file_fingerprint

_COLUMNS = 2  # of the preview


class FiguresDataset(PinnedVersions, AbstractVersionedDataset[Mapping[str, bytes], dict[str, bytes]]):
    """A folder of small files, loaded and saved as bytes by file name."""

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Use the folder, on a disk or as `s3://bucket/folder`; with `versioned: true` a subfolder per version."""
        self._place = Place(filepath, FILES_MANIFEST)
        super().__init__(self._place.path, version, self._place.is_whole, self._place.glob)
        self.metadata = metadata

    def load(self) -> dict[str, bytes]:
        """Return the content of every file by its name."""
        folder = self._place.folder(self._get_load_path())
        if not self._place.is_whole(str(self._get_load_path())):
            raise DatasetError(f"{folder} does not hold all its figures: {FILES_MANIFEST} is missing")
        written: dict[str, str] = self._place.manifest(folder)["files"]
        there = {file.name for file in folder.iterdir() if file.name != FILES_MANIFEST}
        self._place.refuse_unless_complete(folder, there, set(written))
        for name, digest in written.items():
            self._place.refuse_if_damaged(folder / name, digest)
        return {name: (folder / name).read_bytes() for name in written}

    def save(self, data: Mapping[str, bytes]) -> None:
        """Publish the files as this version."""
        with tempfile.TemporaryDirectory() as scratch:
            files = {name: Path(scratch) / name for name in data}
            for name, file in files.items():
                file.write_bytes(data[name])
            written = {name: file_fingerprint(file) for name, file in files.items()}
            self._place.publish(self._get_save_path(), files, {"files": written})

    def preview(self) -> ImagePreview:
        """Return all figures on one sheet, for kedro-viz."""
        images = [content for name, content in self.load().items() if name.endswith(".png")]
        return ImagePreview(base64.b64encode(_sheet(images)).decode("utf-8"))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}


def _sheet(images: list[bytes]) -> bytes:
    """Return images side by side in columns, as one PNG."""
    from PIL import Image

    opened = [Image.open(io.BytesIO(image)) for image in images]
    width, height = (max(image.size[side] for image in opened) for side in (0, 1))
    n_rows = -(-len(opened) // _COLUMNS)
    sheet = Image.new("RGB", (width * min(_COLUMNS, len(opened)), height * n_rows), "white")
    for place, image in enumerate(opened):
        sheet.paste(image, (place % _COLUMNS * width, place // _COLUMNS * height))
    stream = io.BytesIO()
    sheet.save(stream, format="png")
    return stream.getvalue()
