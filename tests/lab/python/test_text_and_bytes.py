"""Text and bytes: what is the same, what only looks the same, and where files lie."""

from __future__ import annotations

import codecs
import csv
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage

from lab.python import text_and_bytes
from lab.python.text_and_bytes import (
    certificate,
    folded,
    names,
    rows,
    same_name,
    save,
    wrong_certificate,
    wrong_names,
    wrong_same_name,
    wrong_save,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Session = Callable[..., None]

NAMES = vars(text_and_bytes) | {"unicodedata": unicodedata, "json": json}


def test_text_is_not_bytes(session: Session) -> None:
    session("text_and_bytes_types.pycon")


@pytest.mark.slow
def test_an_option_refuses_the_look_of_bytes() -> None:
    for options, status in (([], 0), (["-bb"], 1)):
        run = [sys.executable, *options, "-c", "f'Seat of {b\"Ama\"}'"]
        ran = subprocess.run(run, capture_output=True, text=True, check=False)
        assert ran.returncode == status
        assert ("BytesWarning" in ran.stderr) is bool(status)


def test_django_hashes_a_password_as_it_was_typed() -> None:
    hashed = make_password("Café")
    assert check_password("Café", hashed)
    assert not check_password("Cafe\u0301", hashed)


def test_what_the_wrong_encoding_does(session: Session) -> None:
    session("text_and_bytes_wrong_encoding.pycon")
    broken = "Café".encode().decode("cp1252")
    assert broken.encode("cp1252").decode() == "Café", "as long as nothing was replaced it can be turned back"
    assert bytes(range(256)).decode("latin-1").encode("latin-1") == bytes(range(256)), "latin-1 never fails"


@pytest.mark.wrong("lab/python/text_and_bytes.py:wrong_same_name")
def test_two_names_that_look_the_same(session: Session) -> None:
    session("text_and_bytes_same.pycon", **NAMES)
    assert not wrong_same_name("Café", unicodedata.normalize("NFD", "Café"))
    assert same_name("Café", unicodedata.normalize("NFD", "CAFÉ"))
    assert folded("Kofi") == "kofi"
    assert not same_name("Kofi", "Kɔfi")
    assert len(unicodedata.normalize("NFD", "é")) == 2
    if sys.version_info >= (3, 15):
        assert len(list(unicodedata.iter_graphemes("ɛ\u0303"))) == 1


def test_one_name_for_a_file_is_two_files(tmp_path: Path) -> None:
    for name in ("Café", "Cafe\u0301"):
        (tmp_path / name).touch()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
@pytest.mark.wrong("lab/python/text_and_bytes.py:wrong_names")
def test_without_an_encoding_the_machine_decides(shell: Callable[..., None], tmp_path: Path) -> None:
    shutil.copy(text_and_bytes.__file__, tmp_path / "academy.py")
    (tmp_path / "names.txt").write_text("Ama Kofi Ɛsi\n", encoding="utf-8")
    (tmp_path / "read.py").write_text(
        "from pathlib import Path\n"
        "from academy import names, wrong_names\n\n"
        'path = Path("names.txt")\n'
        "print(len(names(path)), end=' ')\n"
        "print(len(wrong_names(path)))\n",
        encoding="utf-8",
    )
    shell("text_and_bytes_locale.console")
    assert names(tmp_path / "names.txt") == ["Ama", "Kofi", "Ɛsi"]
    # Where the machine's encoding is UTF-8, the wrong one does the same.
    assert len(wrong_names(tmp_path / "names.txt")) == 3
    command = [sys.executable, "-X", "warn_default_encoding", "read.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--preview", "--output-format", "concise"]
    command += ["--select", "PLW1514", str(text_and_bytes.__file__)]
    assert (
        subprocess.run(command, capture_output=True, text=True, check=False).stdout.count("unspecified-encoding") == 1
    )
    assert ran.stderr.count("EncodingWarning: 'encoding' argument not specified") == 1


@pytest.mark.wrong("lab/python/text_and_bytes.py:wrong_certificate")
def test_a_name_from_outside_leads_out_of_the_folder(tmp_path: Path, session: Session) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "ama.txt").write_text("Ama passed")
    (tmp_path / "settings.txt").write_text("SECRET_KEY=…", encoding="utf-8")
    session("text_and_bytes_traversal.pycon", **NAMES, folder=folder)
    (folder / "link.txt").symlink_to(tmp_path / "settings.txt")
    for name in ("../settings.txt", "/etc/passwd", "link.txt", "../certificates-old/x"):
        with pytest.raises(FileNotFoundError, match="no such certificate"):
            certificate(folder, name)
    assert wrong_certificate(folder, "link.txt").startswith("SECRET_KEY")
    assert certificate(folder, "../certificates/ama.txt") == "Ama passed"
    storage = FileSystemStorage(folder)
    for name in ("../settings.txt", "/etc/passwd"):
        with pytest.raises(SuspiciousFileOperation):
            storage.open(name)
    with storage.open("link.txt") as file:
        assert file.read().startswith(b"SECRET_KEY"), "Django's does not look behind a link"


@pytest.mark.wrong("lab/python/text_and_bytes.py:wrong_save")
def test_a_writer_that_fails_leaves_half_a_file(tmp_path: Path, session: Session) -> None:
    path = tmp_path / "grades" / "grades.csv"
    path.parent.mkdir()
    path.write_text("Ama,71\nKofi,48\n")
    session("text_and_bytes_save.pycon", **NAMES, path=path)
    assert list(path.parent.iterdir()) == [path], "no draft is left"

    def lines() -> Iterator[str]:
        yield "Ama,72\n"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        wrong_save(path, lines())
    assert path.read_text() == "Ama,72\n"


def test_a_saved_file_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    path = tmp_path / "grades.csv"
    path.write_text("old")
    plain = stat.S_IMODE(path.stat().st_mode)

    def lines() -> Iterator[str]:
        yield "new"
        assert path.read_text() == "old"

    with path.open() as reader:
        save(path, lines())
        assert reader.read() == "old", "who reads already reads on"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == plain, "made by open(), it has the usual permissions"
    path.chmod(0o600)
    save(path, ["newer"])
    assert path.read_text() == "newer"
    assert stat.S_IMODE(path.stat().st_mode) == plain, "and not those of the old file"
    with tempfile.NamedTemporaryFile(dir=tmp_path) as private:
        assert stat.S_IMODE(os.stat(private.name).st_mode) == 0o600


def test_a_table_from_a_spreadsheet(tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = Path("grades.csv")
    table.write_bytes(codecs.BOM_UTF8 + "name,grade\r\nƐsi,90\r\n".encode())
    session("text_and_bytes_rows.pycon", **NAMES)
    with table.open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file)).get("name") is None, "the mark became part of the first name"
    table.write_bytes(b'name,remark\r\nAma,"two\r\nlines"\r\n')
    assert rows(table)[0]["remark"] == "two\r\nlines"
    with table.open(encoding="utf-8") as file:
        assert next(csv.DictReader(file))["remark"] == "two\nlines", "without newline='' the text is changed"
    assert json.loads('{"name": "Ɛsi"}'.encode()) == json.loads('{"name": "Ɛsi"}'.encode("utf-16"))
