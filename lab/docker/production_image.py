"""Look for a secret in everything that an image consists of."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from lab.docker.containers import content, files

if TYPE_CHECKING:
    from collections.abc import Iterator


# --8<-- [start:find]
def find(archive: str, secret: bytes) -> Iterator[str]:
    """Yield where a secret is, in an archive that ``docker save`` wrote."""
    with tarfile.open(archive) as image:
        small = [file for file in image if file.size < 1_000_000]
        texts = [content(image, file) for file in small]
    # Variables and history stand in JSON, beside the layers.
    if any(text.startswith(b"{") and secret in text for text in texts):
        yield "description"
    for layer, name, text in files(archive):
        if secret in text:
            yield f"layer {layer}: {name}"


# --8<-- [end:find]
