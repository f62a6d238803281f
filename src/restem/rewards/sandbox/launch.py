"""Starting a keeper, and asking things of it."""

import json
import os
import socket
import subprocess
import sys
import weakref
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from restem.rewards.sandbox.ground import NOBODY
from restem.rewards.sandbox.limits import Limits
from restem.rewards.sandbox.meter import Meter, only_child
from restem.rewards.sandbox.root import PACKAGES

_START_LIMIT_S = 60.0
_ANSWER_LIMIT_S = 30.0  # for the keeper to fork, or to end what it forked
_LONGEST_REPLY = 4096
_VERDICTS_PER_TESTER = 500

SANDBOX_NEEDS = (
    "It needs Linux on x86_64 or aarch64 with user namespaces (sysctl user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; in a container, its seccomp "
    "profile)"
)

# The package's parents are stubs: their __init__ would import what a keeper must not hold.
_BOOT = """
import sys
for name, folder in (("restem", sys.argv[1]), ("restem.rewards", sys.argv[1] + "/rewards")):
    sys.modules[name] = type(sys)(name)
    sys.modules[name].__path__ = [folder]
"""
_KEEPER = """
import _socket
from restem.rewards.sandbox.keeper import main
main(_socket.socket(fileno=int(sys.argv[2])))
"""
_LAYOUT = """
from restem.rewards.sandbox.layout import main
main()
"""
# Nothing of the caller's environment; hashes are fixed, so that the same program gets the same verdict again.
_ENVIRONMENT = {"PATH": "/usr/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"}
# Libraries of numbers start a thread per processor and reserve memory for each, which would count.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _command(script: str, *arguments: str) -> list[str]:
    python = [os.path.realpath(sys.executable), "-S", "-s", "-P", "-B", "-X", "no_debug_ranges"]
    return [*python, "-c", _BOOT + script, str(Path(__file__).parents[2]), *arguments]


@lru_cache(maxsize=8)
def layout_of(packages: tuple[str, ...]) -> dict[str, Any]:
    """Return what of the host a program must see."""
    done = subprocess.run(
        _command(_LAYOUT, *packages), env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise SandboxError(f"the interpreter cannot be looked at: {done.stderr.decode(errors='replace')[-500:]}")
    layout: dict[str, Any] = json.loads(done.stdout)
    return layout


class SandboxError(Exception):
    """The sandbox itself failed, or cannot be had: nothing is known about any program."""


class SlowEndError(SandboxError):
    """A program that is not gone long after it was killed."""


class Keeper:
    """The process that forks programs, as the worker sees it."""

    def __init__(self, limits: Limits, *, sandboxed: bool, packages: tuple[str, ...] = ()) -> None:
        """Start one.

        Args:
            limits: Of every program.
            sandboxed: False for no sandbox at all.
            packages: Files and folders that programs can import from.

        Raises:
            SandboxError: If there can be no sandbox here.
        """
        self.limits = limits
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        layout = layout_of(packages) if sandboxed else None
        folders = [PACKAGES] if sandboxed else sorted({str(Path(package).parent) for package in packages})
        with theirs:
            process = _start_keeper(theirs, _ENVIRONMENT | (_ONE_THREAD if packages else {}))
        self._tester: socket.socket | None = None
        self._has_tester = False  # the keeper has forked one, which may be dead by now
        self._n_judged = 0
        self.close = weakref.finalize(self, _end, self.control, process)
        self.control.settimeout(_START_LIMIT_S)
        opening = {"layout": layout, "limits": limits._asdict(), "paths": folders if packages else []}
        try:
            self.control.send(json.dumps(opening).encode())
            self._answer()
            if sandboxed:
                map_users(process.pid)
            self.control.send(b"mapped")
            self._answer()
            self.pid = only_child(process.pid)
        except (OSError, SandboxError) as error:
            self.close()
            raise SandboxError(str(error)) from error
        self.control.settimeout(_ANSWER_LIMIT_S)

    def _answer(self) -> str:
        answer = self.control.recv(_LONGEST_REPLY).decode()
        if not answer:
            raise SandboxError("the keeper of the sandbox died; was it killed for memory?")
        if answer.startswith("error "):
            raise SandboxError(answer.removeprefix("error "))
        return answer

    def start(self, channel: socket.socket, *standard: int) -> Meter:
        """Fork a program's process with a channel, and perhaps with standard input and output."""
        self._request(b"program", channel.fileno(), *standard)
        return Meter(self.pid, self.limits, has_tester=self._has_tester)

    def tester(self) -> socket.socket:
        """Return the control socket of a tester; a new one after some hundred verdicts."""
        if self._tester is None or self._n_judged >= _VERDICTS_PER_TESTER:
            self.renew_tester()
            self._tester, theirs = socket.socketpair()
            with theirs:
                self._request(b"tester", theirs.fileno())
            self._has_tester = True
        self._n_judged += 1
        return self._tester

    def renew_tester(self) -> None:
        """Let the next verdict have a new tester."""
        if self._tester is not None:
            self._tester.close()
            self._tester, self._n_judged = None, 0

    def _request(self, what: bytes, *descriptors: int) -> None:
        socket.send_fds(self.control, [what], descriptors)

    def end(self, *, is_leaving: bool = False) -> int:
        """End what runs, and return the program's exit code.

        Args:
            is_leaving: Whether the program has closed its ends and seems about to end: it is given a moment for that.

        Raises:
            SlowEndError: If it does not end; the keeper is of no use from here on.
        """
        self.control.send(b"leave" if is_leaving else b"end")
        try:
            return int(self._answer())
        except TimeoutError as error:
            raise SlowEndError("a program did not end when it was killed") from error


def _start_keeper(connection: socket.socket, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        _command(_KEEPER, str(connection.fileno())),
        pass_fds=[connection.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )


def _end(control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    control.close()  # the keeper takes this as the signal to end, and the launcher ends with it
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def map_users(process: int) -> None:
    """Give a process in a new user namespace its users: root and nobody, or only ourselves as nobody."""
    folder, user, group = Path(f"/proc/{process}"), os.geteuid(), os.getegid()
    if user == 0:
        with suppress(OSError):  # inside a container that has no nobody, the way of ordinary users may still be open
            for name in ("uid_map", "gid_map"):
                (folder / name).write_text(f"0 0 1\n{NOBODY} {NOBODY} 1\n")
            return
    (folder / "setgroups").write_text("deny")
    (folder / "uid_map").write_text(f"{NOBODY} {user} 1\n")
    (folder / "gid_map").write_text(f"{NOBODY} {group} 1\n")
