"""The system calls that Python 3.11 has no names for."""

import ctypes
import errno
import os

# Source: linux/sched.h, linux/mount.h, linux/prctl.h, linux/capability.h
NEW_MOUNTS, NEW_HOSTNAME, NEW_IPC = 0x00020000, 0x04000000, 0x08000000
NEW_USERS, NEW_PIDS, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8
REMOUNT, BIND, RECURSIVE, PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
LAST_DESCRIPTOR = 1 << 20  # beyond any that a process may have
KILL = 9  # the module signal costs more memory than this number
_DETACH = 2
_SET_DEATH_SIGNAL, _CAP_DROP, _SET_NO_NEW_PRIVILEGES, _SET_SUBREAPER = 1, 24, 38, 36
_SET_SECCOMP, _MODE_FILTER = 22, 2
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_ARENA_MAX = -8  # Source: malloc.h, M_ARENA_MAX

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        reason = "no more are allowed" if number == errno.ENOSPC else os.strerror(number)  # no disk has to do with it
        raise OSError(number, f"{what}: {reason}")


def machine() -> str:
    """Return the processor's architecture, as "x86_64"."""
    return os.uname().machine


def unshare(namespaces: int) -> None:
    """Leave the named namespaces for new ones; of processes, from the next child on."""
    _check(_libc.unshare(namespaces), "new namespaces are refused")


def enter(namespace: int, kind: int) -> None:
    """Enter the namespace that a file descriptor names."""
    _check(_libc.setns(namespace, kind), "cannot enter a namespace")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, or bind or change one that is there."""
    arguments = [os.fsencode(text) or None for text in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None), f"cannot mount {target}")


def unmount(target: str) -> None:
    """Take a file system out of sight; it ends with its last user."""
    _check(_libc.umount2(os.fsencode(target), _DETACH), f"cannot unmount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root, and let the old root appear at `old`."""
    number = ctypes.c_long(_PIVOT_ROOT[machine()])
    _check(_libc.syscall(number, os.fsencode(new), os.fsencode(old)), "cannot change the root")


def name_host(name: str) -> None:
    """Give this namespace's host a name."""
    _check(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "cannot name the host")


def _prctl(option: int, value: int) -> None:
    rest = [ctypes.c_ulong(0)] * 3
    _check(_libc.prctl(option, ctypes.c_ulong(value), *rest), f"prctl {option}")


def die_with_parent() -> None:
    """Ask to be killed when the parent ends. Any change of user or privileges forgets it."""
    _prctl(_SET_DEATH_SIGNAL, KILL)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    _prctl(_SET_SUBREAPER, 1)


def refuse_new_privileges() -> None:
    """Let no executed file grant anything, now and in all descendants."""
    _prctl(_SET_NO_NEW_PRIVILEGES, 1)


def one_arena() -> None:
    """Let all threads allocate from one heap: an arena per thread would count 64 MiB of address space each."""
    _libc.mallopt(_ARENA_MAX, 1)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_NO_CAPABILITIES = (ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref((ctypes.c_uint32 * 6)()))


def bound_capabilities() -> None:
    """Let no file that is executed from here on bring a capability; those held now stay."""
    for capability in range(_LAST_CAPABILITY + 1):
        if _libc.prctl(_CAP_DROP, ctypes.c_ulong(capability), *[ctypes.c_ulong(0)] * 3) != 0:
            break  # beyond the last that this kernel knows


def drop_capabilities() -> None:
    """Give up every capability for good."""
    _check(_libc.capset(*_NO_CAPABILITIES), "cannot drop capabilities")


class CallFilter:
    """A program for the kernel's packet filter machine, in steps of 8 bytes."""

    def __init__(self, code: bytes) -> None:
        """Lay it out in memory, once for all forks of this process."""
        self._program = _Program(len(code) // 8, code)
        values = [ctypes.c_ulong(0), ctypes.c_ulong(0)]
        self._arguments = (_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(self._program), *values)

    def install(self) -> None:
        """Hold this process and its descendants to the filter, for good. Needs refused privileges first."""
        _check(_libc.prctl(*self._arguments), "the kernel refuses a filter of system calls")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))
