"""Build the site strictly, and say each mistake in one message with file, line and mend.

    python -m scripts.build            build into site/
    python -m scripts.build --check    see whether it builds, keep nothing

A build that fails leaves ``site/`` as it was.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# The theme prints a banner about MkDocs 2 unless this is set before it is imported.
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")

from typing import TYPE_CHECKING

import yaml
from jinja2 import TemplateSyntaxError
from mkdocs.commands.build import build as mkdocs_build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort, MkDocsException
from pymdownx.snippets import SnippetMissingError

from scripts.pages import ROOT, Problem, blank_code, line_of, problems, read

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

LINK = re.compile(
    r"Doc file '(?P<page>[^']+)' contains an? (?P<kind>[\w ]*?)link '(?P<url>[^']*)'(?P<rest>.*)", re.DOTALL
)
SUGGESTION = re.compile(r"Did you mean '([^']+)'")
OMITTED = re.compile(r"^  - (?P<page>.+)$", re.MULTILINE)
NAV_MISSING = re.compile(r"A reference to '(?P<page>[^']+)' is included in the 'nav' configuration")
READING = re.compile(r"Error (?:reading|building) page '(?P<page>[^']+)'")
CONFIG_VALUE = re.compile(r"Config value '(?P<key>[^']+)': (?P<what>.*)", re.DOTALL)
SNIPPET = re.compile(r"Snippet (?:at path|section) '(?P<name>[^']*)'")


class Site:
    """One build of the site, and what went wrong in it.

    ``problems`` holds the author's mistakes in the order of their places.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.problems: list[Problem] = []

    def build(self, site_dir: Path, *, serve_url: str | None = None) -> bool:
        """Build into ``site_dir``; return whether there is a site to show.

        With ``serve_url`` the site is built for the preview: mistakes that leave something to
        look at are reported, and the site is there all the same.
        """
        self.problems = problems(self.root)
        if self.problems and (serve_url is None or not read(self.root, "mkdocs.yml")[0]):
            return False
        collector = Collector(self.root)
        logger = logging.getLogger("mkdocs")
        logger.addHandler(collector)
        logger.propagate = False
        built = False
        try:
            config = self.load(site_dir, serve_url)
            config.plugins.on_startup(command="serve" if serve_url else "build", dirty=False)
            mkdocs_build(config, serve_url=serve_url)
            config.plugins.on_shutdown()
            built = True
        except (Abort, SystemExit):
            pass  # what it is about has been logged
        except SnippetMissingError as error:
            collector.snippet(str(error))
        except (MkDocsException, yaml.YAMLError) as error:
            collector.config(str(error))
        except TemplateSyntaxError as error:
            collector.template(error)
        except UnicodeDecodeError:
            pass  # problems() has named the page
        except Exception as error:  # whatever it is, an author gets one message and keeps the preview
            path = f"docs/{collector.page}" if collector.page else "mkdocs.yml"
            what = f"the build stopped here: {type(error).__name__}: {error}"
            collector.problems.append(Problem(path, 1, what, "undo the last change, and report this as an error"))
        finally:
            logger.removeHandler(collector)
        self.problems = sorted({*self.problems, *collector.problems})
        return built and (serve_url is not None or not self.problems)

    def load(self, site_dir: Path, serve_url: str | None) -> MkDocsConfig:
        """Read ``mkdocs.yml`` for a build into ``site_dir``."""
        config = load_config(str(self.root / "mkdocs.yml"), site_dir=str(site_dir))
        if serve_url:
            config.site_url = serve_url
        return config


class Collector(logging.Handler):
    """Turns what MkDocs logs as a warning or an error into problems with a place and a mend."""

    def __init__(self, root: Path) -> None:
        super().__init__(logging.WARNING)
        self.root = root
        self.problems: list[Problem] = []
        self.page = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Add the problems that one log record tells of."""
        message = record.getMessage()
        if match := LINK.search(message):
            self.problems.append(self.link(match))
        elif 'not included in the "nav" configuration' in message:
            for page in OMITTED.findall(message):
                mend = "add it to `nav:` in mkdocs.yml, or delete it"
                self.problems.append(Problem(f"docs/{page}", 1, "no navigation entry leads to this page", mend))
        elif match := NAV_MISSING.search(message):
            page = match["page"]
            mend = f"write docs/{page}, or take the entry out of `nav:`"
            self.problems.append(self.in_config(page, f"`nav:` names {page}, and there is no such page", mend))
        elif match := CONFIG_VALUE.search(message):
            mend = "correct this key; the MkDocs user guide, “Configuration”, lists what it takes"
            lines = match["what"].strip().splitlines()
            # An extension's error comes with its traceback: the first and the last line say it.
            what = " ".join((f"{lines[0]} {lines[-1]}" if "  File" in match["what"] else match["what"]).split())
            self.problems.append(self.in_setting(match["key"], what, mend))
        elif match := READING.search(message):
            self.page = match["page"]  # the exception that follows says what is wrong with it
        else:
            self.problems.append(Problem("mkdocs.yml", 1, " ".join(message.split()), "see the message"))

    def link(self, match: re.Match[str]) -> Problem:
        """Return the problem of a link or picture that leads nowhere."""
        path, url = f"docs/{match['page']}", match["url"]
        text = blank_code((self.root / path).read_text(encoding="utf-8"))
        place = re.search(rf"\(<?{re.escape(url)}[)>\s]", text)
        line = text.count("\n", 0, place.start()) + 1 if place else line_of(text, url)
        guess = SUGGESTION.search(match["rest"])
        if "anchor" in match["rest"]:
            what = f"the link {url} names a section that the page does not have"
            mend = "use the id of one of its headings: the heading in lower case, with hyphens for spaces"
        elif match["kind"].startswith("absolute"):
            what, mend = f"the link {url} starts at the root of the host", "write it relative to this file"
        else:
            what = f"the link {url} leads to no file"
            mend = "write the path of a file in docs/, relative to this one, with its ending"
        return Problem(path, line, what, f"did you mean {guess[1]}?" if guess else mend)

    def snippet(self, message: str) -> None:
        """Add the problem of a quotation whose file or section does not exist."""
        match = SNIPPET.search(message)
        name = match["name"] if match else ""
        path = f"docs/{self.page}" if self.page else "mkdocs.yml"
        text = (self.root / path).read_text(encoding="utf-8")
        mend = "quote a file by its path from the project's top, and a section by a name that the file has"
        self.problems.append(Problem(path, line_of(text, name), f"the quoted {name} does not exist", mend))

    def config(self, message: str) -> None:
        """Add the problem of an ``mkdocs.yml`` that cannot be read."""
        place = re.search(r"line (\d+)", message[message.rfind("mkdocs.yml") :])
        what = " ".join(message.split())
        line = int(place[1]) if place else 1
        mend = "correct the YAML there: indentation, a missing colon, an unclosed quote"
        self.problems.append(Problem("mkdocs.yml", line, what, mend))

    def template(self, error: TemplateSyntaxError) -> None:
        """Add the problem of a theme override that does not parse."""
        file = Path(error.filename or "mkdocs.yml")
        path = file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.as_posix()
        mend = "correct the template; Jinja's “Template Designer Documentation” says what it takes"
        self.problems.append(Problem(path, error.lineno, f"the template does not parse: {error.message}", mend))

    def in_setting(self, name: str, what: str, mend: str) -> Problem:
        """Return a problem of a setting, placed at the value that the message quotes, or at its key."""
        text, _ = read(self.root, "mkdocs.yml")
        key = re.search(rf"^{re.escape(name)}:", text, re.MULTILINE)
        start = key.start() if key else 0
        for value in re.findall(r"['\"]([\w./-]+)['\"]", what):
            if found := re.compile(rf"(?<![\w-]){re.escape(value)}(?![\w-])").search(text, start + len(name)):
                start = found.start()
        return Problem("mkdocs.yml", text.count("\n", 0, start) + 1, f"`{name}`: {what}", mend)

    def in_config(self, wanted: str, what: str, mend: str) -> Problem:
        """Return a problem placed at the first line of ``mkdocs.yml`` that holds ``wanted``."""
        text = (self.root / "mkdocs.yml").read_text(encoding="utf-8")
        return Problem("mkdocs.yml", line_of(text, wanted), what, mend)


def git(*arguments: str, root: Path = ROOT) -> str:
    """Return what git prints, or an empty string where git or the repository is missing."""
    try:
        run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


def use_git_dates(root: Path = ROOT) -> str:
    """Set ``GIT_DATES`` and ``SOURCE_DATE_EPOCH`` for the build.

    Returns a notice where the history is missing or cut off, because dates would be wrong then.
    """
    top = git("rev-parse", "--show-toplevel", root=root)
    if top and Path(top).resolve() == root and git("rev-parse", "HEAD", root=root):
        os.environ.setdefault("SOURCE_DATE_EPOCH", git("log", "-1", "--format=%ct", root=root))
        if git("rev-parse", "--is-shallow-repository", root=root) == "false":
            return ""
    os.environ["GIT_DATES"] = "false"
    return "Note: there is no full git history here, so the pages carry no dates."


def build(target: Path, root: Path = ROOT) -> list[Problem]:
    """Build the site and put it at ``target``; return the problems, in which case nothing changes."""
    workshop = Path(tempfile.mkdtemp(prefix=".site-", dir=target.parent))
    try:
        site = Site(root)
        if site.build(workshop / "new"):
            if target.exists():
                target.rename(workshop / "old")
            (workshop / "new").rename(target)
        return site.problems
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Build the site strictly.")
    parser.add_argument("--check", action="store_true", help="keep nothing")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    if notice := use_git_dates():
        print(notice)
    with tempfile.TemporaryDirectory() as scratch:
        found = build(Path(scratch) / "site" if arguments.check else ROOT / "site")
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
