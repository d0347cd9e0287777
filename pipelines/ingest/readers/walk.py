"""Which files a path names: a file, a folder, a glob, links followed once, and what is passed over.

Nothing is left out silently: what stands in a folder and is not read comes back too, with the
reason. Names within a source are UTF-8 in NFC, whatever the disk holds, and unique.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from pipelines.ingest.readers.base import File, Passed
from pipelines.storage.files import REMOTE, is_remote
from schemas.errors import InputError

HELPERS = (
    "_success", "_committed_*", "_started_*", "_temporary", "_metadata", "_common_metadata",
    "_delta_log", "_spark_metadata", "*.crc", "dataset_infos.json", "dataset_info.json",
    "dataset_dict.json", "__macosx", "__pycache__", "thumbs.db", "desktop.ini",
    "*.md5", "*.sha1", "*.sha256", "*.sha512", "md5sums", "sha1sums", "sha256sums", "sha512sums",
)  # fmt: skip
"""Names, in lower case, of files and folders that Spark, the Hub and file managers write beside
data."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_KNOWN = ", ".join((*REMOTE, "file://"))
_CLOSE = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "huggingface": "hf", "webhdfs": "hdfs"}
_WHY = {
    "hidden_file": "its name begins with a dot",
    "helper_file": "by its name it holds no documents",
}
_SPECIAL = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def local_path(name: str, path: str) -> str:
    """Return a source's path with `~` and `file://` resolved; a store's address stays.

    Raises InputError, naming the source and the schemes that are read, for any other scheme.
    """
    if is_remote(path) or os.path.lexists(path):
        return path
    if path.startswith("~"):
        return os.path.expanduser(path)
    scheme = _SCHEME.match(path)
    if scheme is None:
        return path
    kind = scheme.group(1).lower()
    if kind == "file":
        address = urlsplit(path.replace("?", "%3F").replace("#", "%23"))
        if address.netloc not in ("", "localhost"):
            raise InputError(
                f"sources.{name}.path: {path}: names the host {address.netloc}; "
                f"write file:///{address.netloc}{address.path}, or the path alone"
            )
        return unquote(address.path, errors="surrogateescape")
    near = _CLOSE.get(kind, kind)
    if f"{near}://" in REMOTE:
        remedy = f"write {near}://{path.split(':', 1)[1].lstrip('/')}"
    else:
        remedy = "download the files, then name their folder"
    raise InputError(
        f"sources.{name}.path: {path}: {kind}:// is not read, only local paths and {_KNOWN}; "
        f"{remedy}"
    )


def is_helper(part: str) -> bool:
    """Return whether a file or folder of this name stands beside data and holds no documents."""
    low = part.lower()
    return any(fnmatch.fnmatchcase(low, pattern) for pattern in HELPERS)


def is_passed(name: str) -> str:
    """Return why a file of this relative name is not read: a reason, or an empty string."""
    for part in name.split("/"):
        if part.startswith(".") and part not in (".", ".."):
            return "hidden_file"
        if is_helper(part):
            return "helper_file"
    return ""


def is_included(name: str, include: list[str]) -> bool:
    """Return whether `include` chooses a file: a pattern with a slash matches the whole name."""
    low = unicodedata.normalize("NFC", name).lower()
    last = low.rsplit("/", 1)[-1]
    patterns = [unicodedata.normalize("NFC", pattern).lower() for pattern in include]
    return not include or any(
        fnmatch.fnmatchcase(low if "/" in pattern else last, pattern) for pattern in patterns
    )


def shown(name: str) -> str:
    """Return a name in NFC, bytes that are not UTF-8 escaped as `\\xNN`."""
    raw = name.encode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", raw.decode("utf-8", "backslashreplace"))


@dataclass
class _Walk:
    """What stands below `root`, folders entered once by their real paths."""

    root: str
    files: list[str] = field(default_factory=list)
    passed: list[tuple[str, Passed]] = field(default_factory=list)
    visited: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    """Linked folders that are yet to be entered, after all others."""

    def below(self) -> _Walk:
        """Visit the root, then the linked folders in the order of their names."""
        top = os.path.realpath(self.root)
        self._visit(self.root)
        while self.links:
            links, self.links = sorted(self.links), []
            for path in links:
                real = os.path.realpath(path)
                if real in self.visited or top.startswith(real.rstrip("/") + "/"):
                    detail = f"a link to the folder {shown(real)}, which is read already"
                    self._pass(path, "repeated_link", detail, False)
                else:
                    self._visit(path)
        return self

    def _visit(self, top: str) -> None:
        folders = [top]
        while folders:
            folder = folders.pop()
            real = os.path.realpath(folder)
            if real in self.visited:
                continue
            self.visited.add(real)
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                detail = f"the folder cannot be listed ({error.strerror}); allow reading it"
                self._pass(folder, "unreadable", detail, True)
                continue
            for entry in entries:
                if reason := is_passed(entry.name):
                    what = "folder" if entry.is_dir(follow_symlinks=False) else "file"
                    self._pass(entry.path, reason, f"a {what} that is not read: {_WHY[reason]}")
                elif not _is_folder(entry):
                    self.files.append(entry.path)
                elif entry.is_symlink():
                    self.links.append(entry.path)
                else:
                    folders.append(entry.path)

    def _pass(self, path: str, reason: str, detail: str, fault: bool = False) -> None:
        self.passed.append((path, Passed(reason, detail, fault)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def local_files(name: str, path: str, include: list[str]) -> list[File]:
    """Return the files of a local path, sorted by name; those not to be opened are `passed`.

    Raises InputError where nothing is there, or where `include` chooses nothing.
    """
    passed: list[tuple[str, Passed]] = []
    path = _spelled(path)
    if os.path.isdir(path):
        walk = _Walk(path).below()
        root, passed = path, walk.passed
        found = [p for p in walk.files if is_included(os.path.relpath(p, root), include)]
        if walk.files and not found:
            raise InputError(none_included(name, path, len(walk.files), include))
    elif os.path.lexists(path):
        root, found = os.path.dirname(path) or ".", [path]
    else:
        root, found, passed = _matched(path)
    if not found and not any(why.fault for _, why in passed):
        raise InputError(
            f"sources.{name}.path: {shown(path)}: there is no such file or folder, or it is empty "
            f"(looked at {shown(os.path.abspath(path))}); relative paths start at the folder in "
            "which bibim is run"
        )
    return named(_described(found, passed), root)


def _spelled(path: str) -> str:
    """Return a path as the disk spells it: where nothing is there, in NFC or in NFD (macOS)."""
    if not os.path.lexists(path):
        for form in ("NFC", "NFD"):
            other = unicodedata.normalize(form, path)
            fixed = os.path.dirname(other.partition("*")[0]) if "*" in other else other
            if other != path and os.path.lexists(fixed):
                return other
    return path


def none_included(name: str, path: str, count: int, include: list[str]) -> str:
    """Return the message about a folder of which `include` chooses nothing."""
    return (
        f"sources.{name}.include: none of the {count:,} files of {shown(path)} matches {include}; "
        f"change sources.{name}.include"
    )


def _described(found: Iterable[str], passed: list[tuple[str, Passed]]) -> Iterator[File]:
    """Yield a File per path, its `relative` still empty: regular files once, by real path."""
    read: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in sorted(found, key=lambda path: (os.path.islink(path), path)):
        try:
            held = os.stat(path)
        except OSError as error:
            passed.append((path, _unreachable(path, error)))
            continue
        if not stat.S_ISREG(held.st_mode):
            what = next((what for test, what in _SPECIAL if test(held.st_mode)), "not a file")
            passed.append((path, Passed("not_a_file", f"{what}, which is never opened", False)))
            continue
        real = _real_path(path, folders)
        if real in read:
            detail = f"a link to {shown(read[real])}, which is read already"
            passed.append((path, Passed("repeated_link", detail, False)))
        elif os.access(path, os.R_OK):
            read[real] = path
            yield File(path, "", held.st_size, str(held.st_mtime_ns))
        else:
            why = Passed("unreadable", "this user may not read it; allow it (`chmod +r`)", True)
            passed.append((path, why))
    for path, why in passed:
        try:
            held = os.lstat(path)
        except OSError:
            yield File(path, "", 0, "", why)
            continue
        size = held.st_size if stat.S_ISREG(held.st_mode) else 0
        yield File(path, "", size, str(held.st_mtime_ns), why)


def _real_path(path: str, folders: dict[str, str]) -> str:
    """Return the real path of a file; `folders` keeps those of its folders."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], name)


def _unreachable(path: str, error: OSError) -> Passed:
    target = _target(path)
    if target:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"fails: {error.strerror}"
        return Passed("dangling_link", f"a link to {target}, which {why}", True)
    return Passed("unreadable", error.strerror or str(error), True)


def _target(path: str) -> str:
    try:
        return shown(os.readlink(path))
    except OSError:
        return ""


def named(files: Iterable[File], root: str) -> list[File]:
    """Return files with their names below `root`, as `named_below` makes them."""
    return named_below(
        replace(file, relative=PurePosixPath(os.path.relpath(file.path, root)).as_posix())
        for file in files
    )


def named_below(files: Iterable[File]) -> list[File]:
    """Return files with their relative names in NFC, escaped, unique; sorted by name."""
    taken: set[str] = set()
    ordered = sorted(files, key=lambda file: file.path)
    result = [replace(file, relative=unique(shown(file.relative), taken)) for file in ordered]
    return sorted(result, key=lambda file: file.relative)


def passed_by_name(name: str) -> Passed | None:
    """Return why a file of this relative name is not read, None where it is."""
    reason = is_passed(name)
    return Passed(reason, f"a file that is not read: {_WHY[reason]}", False) if reason else None


def unique(name: str, taken: set[str]) -> str:
    """Return `name`, or `name#2`, `name#3` … where it is taken, and take it."""
    result, number = name, 1
    while result in taken:
        number += 1
        result = f"{name}#{number}"
    taken.add(result)
    return result


def _matched(path: str) -> tuple[str, list[str], list[tuple[str, Passed]]]:
    """Return the fixed folder of a glob, what matches it, and what is passed over.

    Brackets are literal where a file or folder of that name is there.
    """
    parts = path.split("/")
    fixed = 0
    for count in range(1, len(parts)):
        prefix = "/".join(parts[:count])
        if prefix and not os.path.lexists(prefix):
            break
        fixed = count
    literal, rest = "/".join(parts[:fixed]), "/".join(parts[fixed:])
    top = literal or ("/" if path.startswith("/") else ".")
    if not glob.has_magic(rest):
        return top, [], []
    if "**" in parts[fixed:]:
        walk = _Walk(top).below()
        matches = _pattern(parts[fixed:])
        found = [p for p in walk.files if matches.fullmatch(os.path.relpath(p, top))]
        return top, found, walk.passed
    pattern = f"{glob.escape(literal)}/{rest}" if fixed else rest
    found = [each for each in glob.glob(pattern) if not os.path.isdir(each)]
    stem = rest[: re.search(r"[*?[]", rest).start()].rpartition("/")[0]  # type: ignore[union-attr]
    root = os.path.join(top, stem) if fixed else stem or "."
    why = Passed("helper_file", f"a file that is not read: {_WHY['helper_file']}", False)
    helpers = {p for p in found if is_passed(os.path.relpath(p, root)) == why.reason}
    return root, [p for p in found if p not in helpers], [(p, why) for p in sorted(helpers)]


_GLOB = re.compile(r"\*|\?|\[(!?)(\]?[^\]]*)\]|.", re.DOTALL)


def _pattern(parts: list[str]) -> re.Pattern[str]:
    """Return the expression of a glob's parts, in which `**` stands for any folders."""

    def one(match: re.Match[str]) -> str:
        if match.group() in "*?":
            return "[^/]*" if match.group() == "*" else "[^/]"
        if match.group(2) is None:
            return re.escape(match.group())
        inner = match.group(2).replace("\\", "\\\\").replace("[", "\\[")
        return f"[{'^' if match.group(1) else ''}{inner}]"

    made = "".join(
        "(?:[^/]+/)*" if part == "**" else _GLOB.sub(one, part) + "/" for part in parts[:-1]
    )
    last = parts[-1]
    return re.compile(made + (".*" if last == "**" else _GLOB.sub(one, last)), re.DOTALL)
