"""What of the host a program must see: the interpreter, its standard library, and the libraries that these load.

Found once by an interpreter of its own, started as the keepers are: nothing of the caller's is in its memory map.
"""

import ctypes
import json
import os
import re
import sys
import sysconfig
from pathlib import Path

_LINKED = ("lib", "lib32", "lib64", "bin")  # of /usr, where the host has them so
_LOADER_CACHE = "/etc/ld.so.cache"
_MAPPED_FILE = re.compile(r"^\S+ \S+ \S+ \S+ \S+ +(/.*?)(?: \(deleted\))?$", re.MULTILINE)
_FIRST_PACKAGE = 2  # among the arguments
_NOT_LOADED = ("_tkinter", "_test", "xx")  # extensions that pull in a desktop, or are for Python's own tests


def main() -> None:
    """Print the layout, as `root.build` reads it: folders, files, links, folders to be shown empty, and packages.

    The arguments are files and folders of packages, which programs find at `root.PACKAGES`.
    """
    library = str(Path(sysconfig.get_path("stdlib")).resolve())
    extensions = sysconfig.get_config_var("DESTSHARED") or f"{library}/lib-dynload"
    folders = [library] + [extensions] * (Path(extensions).is_dir() and not extensions.startswith(f"{library}/"))
    packages = sys.argv[_FIRST_PACKAGE:]
    # A package is seen at another path; its own libraries find each other relative to it.
    inside = tuple(f"{folder}/" for folder in (*folders, *map(os.path.realpath, packages)))
    loaded = _loaded(_extensions(extensions, packages))
    files = sorted({path for path in map(os.path.realpath, loaded) if not path.startswith(inside)})
    empty = [f"{library}/{name}" for name in ("site-packages", "dist-packages", "test", "idlelib")]
    layout = {
        "folders": folders,
        "files": [*files, *(path for path in (_LOADER_CACHE,) if Path(path).is_file())],
        "links": [*_links(files), ("/usr/bin/python3", os.path.realpath(sys.executable))],
        "empty": [folder for folder in empty if Path(folder).is_dir()],
        "packages": [(os.path.realpath(path), Path(path).name) for path in packages],
    }
    sys.stdout.write(json.dumps(layout))


def _extensions(of_python: str, packages: list[str]) -> list[Path]:
    """Return the extension modules of the standard library and of packages."""
    own = [path for path in sorted(Path(of_python).glob("*.so")) if not path.name.startswith(_NOT_LOADED)]
    return own + [path for package in packages for path in sorted(Path(package).rglob("*.so"))]


def _loaded(extensions: list[Path]) -> list[str]:
    """Return the interpreter and all libraries that it or an extension module loads."""
    for extension in extensions:
        _load(str(extension))
    maps = Path("/proc/self/maps").read_text()
    return [path for path in dict.fromkeys(_MAPPED_FILE.findall(maps)) if Path(path).is_file()]


def _load(extension: str) -> None:
    try:
        ctypes.CDLL(extension)
    except OSError:
        return  # its library is not installed: the module cannot be imported outside either


def _links(files: list[str]) -> list[tuple[str, str]]:
    """Return the other names of libraries and of the interpreter, beside them and at the top."""
    tops = [Path("/", name) for name in _LINKED]
    links = [(str(path), str(path.readlink())) for path in tops if path.is_symlink() and path.exists()]
    known = set(files)
    # The loader of programs, for one, has its name in a folder where no file of ours is.
    for folder in sorted({str(Path(path).parent) for path in files} | {os.path.realpath(path) for path in tops}):
        for path in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if path.is_symlink() and os.path.realpath(path) in known:
                links.append((str(path), str(path.readlink())))
    return links
