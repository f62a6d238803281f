"""The ground that programs are forked on: namespaces, or nothing at all where the user said so."""

# Pathlib would be in every program's memory, and cost each fork.
# ruff: noqa: PTH123

import os
from typing import Any

from restem.rewards.sandbox import linux, root, seccomp
from restem.rewards.sandbox.limits import Limits, hold

NOBODY = 65534  # the user and group that programs run as, inside and, if the caller is root, outside
_NAMESPACES = (
    linux.NEW_USERS | linux.NEW_MOUNTS | linux.NEW_PIDS | linux.NEW_NETWORK | linux.NEW_IPC | linux.NEW_HOSTNAME
)


class Sandbox:
    """Namespaces around the keeper, and around every program again one of processes and a folder of its own."""

    home = root.HOME

    def __init__(self) -> None:
        """Enter new namespaces, in which this process has no user yet."""
        self._filter = seccomp.build()
        linux.unshare(_NAMESPACES)

    def settle(self, limits: Limits, layout: dict[str, Any]) -> None:
        """Finish as the first process of the new namespaces, whose users the caller has mapped by now."""
        linux.die_with_parent()
        self._processes = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        with open("/proc/self/uid_map") as stream:
            self._is_mapped_twice = len(stream.readlines()) > 1
        linux.name_host("sandbox")
        root.build(layout)
        linux.refuse_new_privileges()
        linux.bound_capabilities()
        hold(limits, processes=True)
        self._filter.install()

    def prepare(self, limits: Limits) -> None:
        """Lay out a fresh folder for the next program."""
        root.fresh_folder(limits.disk_mb, limits.files)

    def fork(self) -> int:
        """Fork into a new namespace of processes, which ends with the child."""
        linux.unshare(linux.NEW_PIDS)
        child = os.fork()
        if child:
            # Only from its own namespace may a process make another new one.
            linux.enter(self._processes, linux.NEW_PIDS)
        return child

    def confine(self) -> None:
        """Give up everything that this child can give up."""
        os.setsid()  # signals to its process group would reach the keeper and the caller, through all namespaces
        if self._is_mapped_twice:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)  # and with the user go all capabilities
        else:
            linux.drop_capabilities()

    def clear(self, *, spared: int) -> None:
        """Remove what the last program left. Its processes are gone: they ended with the first of their namespace."""
        root.discard_folder()


class OpenGround:
    """No sandbox: the program may read, write and send whatever the user can. Only limits and killing are left."""

    def __init__(self) -> None:
        """Start where the caller is."""
        self.home = "/"

    def settle(self, limits: Limits, layout: dict[str, Any]) -> None:
        """Become the parent of whatever a program leaves behind; the user's own processes may be many."""
        linux.adopt_orphans()
        hold(limits, processes=False)

    def prepare(self, limits: Limits) -> None:
        """Lay out a fresh folder for the next program."""
        import tempfile

        self.home = tempfile.mkdtemp(prefix="restem-program-")

    def fork(self) -> int:
        """Fork."""
        return os.fork()

    def confine(self) -> None:
        """Give up the process group; there is no sandbox."""
        os.setsid()

    def clear(self, *, spared: int) -> None:
        """Kill all descendants but one, and remove the folder."""
        import shutil

        while children := [child for child in _children() if child != spared]:
            for child in children:
                os.kill(child, linux.KILL)
                os.waitpid(child, 0)
        shutil.rmtree(self.home, ignore_errors=True)
        self.home = "/"


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as stream:
        return [int(child) for child in stream.read().split()]
