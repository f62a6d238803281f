"""The file system that programs see: the interpreter and its standard library, read-only, and an empty /tmp."""

# Pathlib would be in every program's memory, and cost each fork.
# ruff: noqa: PTH102, PTH103, PTH106, PTH112, PTH120, PTH211

import os
from typing import Any

from restem.rewards.sandbox import linux

HOME = "/tmp"
PACKAGES = "/packages"
_BASE = "/tmp"  # any folder will do: it is covered only in our own namespace
_DEVICES = ("null", "random", "urandom")  # not zero: shared mappings of it are memory that no limit counts
_STRICT = linux.NO_SUID | linux.NO_DEVICES


def build(layout: dict[str, Any]) -> None:
    """Enter a file system that shows this and nothing else of the host. The mount namespace must be our own."""
    linux.mount("none", "/", flags=linux.PRIVATE | linux.RECURSIVE)
    linux.mount("tmpfs", _BASE, "tmpfs", _STRICT, "size=4m,mode=755")
    for name in ("old", "new"):
        os.mkdir(f"{_BASE}/{name}")
    # The old root moves to /old, where everything is seen again that the first mount covered.
    linux.pivot_root(_BASE, f"{_BASE}/old")
    os.chdir("/")
    linux.mount("tmpfs", "/new", "tmpfs", _STRICT, "size=4m,mode=755")
    _fill(layout)
    linux.pivot_root("/new", "/new/old")
    os.chdir("/")
    linux.unmount("/old")
    os.rmdir("/old")
    linux.mount("none", "/", flags=linux.REMOUNT | linux.BIND | linux.READ_ONLY | _STRICT)


def _fill(layout: dict[str, Any]) -> None:
    for folder in ("old", "dev", "tmp", "etc", "usr/bin", PACKAGES[1:]):
        os.makedirs(f"/new/{folder}", exist_ok=True)
    for path in layout["folders"]:
        os.makedirs(f"/new{path}", exist_ok=True)
        _show(path, path, _STRICT)
    for path in layout["files"]:
        _touch(path)
        _show(path, path, _STRICT)
    for path, name in layout["packages"]:
        _show_either(path, f"{PACKAGES}/{name}")
    for source, target in layout.get("mounts", ()):  # of judges: libraries where they were imported from
        _show_either(source, target)
    for path in layout["empty"]:
        linux.mount("tmpfs", f"/new{path}", "tmpfs", linux.READ_ONLY | _STRICT, "size=4k")
    for device in _DEVICES:
        _touch(f"/dev/{device}")
        _show(f"/dev/{device}", f"/dev/{device}", linux.NO_SUID | linux.NO_EXEC)
    for where, target in (*layout["links"], ("/dev/shm", HOME)):  # shm: for POSIX semaphores, as of multiprocessing
        os.makedirs(os.path.dirname(f"/new{where}"), exist_ok=True)
        if not os.path.lexists(f"/new{where}"):
            os.symlink(target, f"/new{where}")


def _show_either(path: str, where: str) -> None:
    if os.path.isdir(f"/old{path}"):
        os.makedirs(f"/new{where}", exist_ok=True)
    else:
        _touch(where)
    _show(path, where, _STRICT)


def _touch(path: str) -> None:
    os.makedirs(os.path.dirname(f"/new{path}"), exist_ok=True)
    os.close(os.open(f"/new{path}", os.O_CREAT | os.O_WRONLY))


def _show(path: str, where: str, flags: int) -> None:
    source, target = f"/old{path}", f"/new{where}"
    linux.mount(source, target, flags=linux.BIND | linux.RECURSIVE)
    # In a user namespace what the host's mount forbids must stay forbidden, or the change is refused.
    locked = os.statvfs(target).f_flag & (_STRICT | linux.NO_EXEC)
    linux.mount("none", target, flags=linux.REMOUNT | linux.BIND | linux.READ_ONLY | locked | flags)


def fresh_folder(megabytes: int, n_files: int) -> None:
    """Put an empty, bounded, writable folder at /tmp."""
    linux.mount("tmpfs", HOME, "tmpfs", _STRICT, f"size={megabytes}m,nr_inodes={n_files},mode=1777")


def discard_folder() -> None:
    """Take the folder away; its memory is free when its last user has died."""
    linux.unmount(HOME)
