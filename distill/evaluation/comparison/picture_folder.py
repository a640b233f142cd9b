"""A folder of pictures that another method made, one for each photograph, known by its stem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.editing.latent_edit import resized
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.decode import PhotoError, photo_size, read_photo
from distill.faces.find import find_photos
from distill.files import file_sha256, path_text
from distill.progress import plural

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
NAMED = 5  # missing pictures in a message


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureFolder:
    """Pictures by stem, squares of `side` px, framed as the aligned photographs are."""

    folder: Path
    files: Mapping[str, Path]
    side: int

    def read(self, name: str, size: int) -> Pixels:
        """Return a picture scaled to `size` px. Raises DistillError for one that is not as the first is."""
        image = read_photo(self.files[name])
        height, width = image.shape[:2]
        if (height, width) != (self.side, self.side):
            raise DistillError(
                f"{path_text(self.files[name])} has {width}x{height} px, the first picture {self.side}x{self.side}:"
                " all need one size"
            )
        return resized(image, size, size)

    def hashes(self, names: Sequence[str]) -> dict[str, str]:
        return {name: file_sha256(self.files[name]) for name in names}

    def check(self, names: Sequence[str]) -> None:
        """Raise DistillError that names the photographs without a picture."""
        missing = [name for name in names if name not in self.files]
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            are = "has" if len(missing) == 1 else "have"
            raise DistillError(
                f"{path_text(self.folder)}: {plural(len(missing), 'photograph')} of {len(names)} {are} no picture:"
                f" {', '.join(missing[:NAMED])}{more}; each needs one of its name, made from those in OUT/aligned"
            )


def open_picture_folder(folder: Path) -> PictureFolder:
    """Find the pictures. Raises DistillError where there are none, two of one stem, or the first is no square."""
    paths = [path for path in find_photos([folder], None).complete() if path.suffix.lower() in PICTURES]
    if not paths:
        raise DistillError(
            f"{path_text(folder)}: no picture in this folder, and no student of a training run either"
        )
    files: dict[str, Path] = {}
    for path in paths:
        if path.stem in files:
            raise DistillError(
                f"{path_text(path)} and {path_text(files[path.stem])}: two pictures of one name"
            )
        files[path.stem] = path
    try:
        height, width = photo_size(paths[0])
    except PhotoError as error:
        raise DistillError(f"{path_text(paths[0])}: no picture: {error.reason} ({error.detail})") from error
    if height != width:
        raise DistillError(
            f"{path_text(paths[0])} has {width}x{height} px: squares are needed, framed as in aligned/"
        )
    return PictureFolder(folder=folder, files=files, side=height)
