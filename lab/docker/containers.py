"""What an image holds, layer by layer: files that a later layer deleted included."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


# --8<-- [start:files]
def files(archive: str) -> Iterator[tuple[int, str, bytes]]:
    """Yield the files in an archive that ``docker save`` wrote.

    Yields:
        The layer, counted from the top (-1 is the last instruction), the
        name and the content of each file.
    """
    with tarfile.open(archive) as image:
        [about] = json.loads(content(image, "manifest.json"))
        for number, blob in enumerate(about["Layers"], -len(about["Layers"])):
            with tarfile.open(fileobj=image.extractfile(blob)) as layer:
                for file in layer:
                    if file.isfile():
                        yield number, file.name, content(layer, file)


def content(tar: tarfile.TarFile, member: str | tarfile.TarInfo) -> bytes:
    """Return what a file in an archive holds."""
    file = tar.extractfile(member)
    return file.read() if file else b""


# --8<-- [end:files]
