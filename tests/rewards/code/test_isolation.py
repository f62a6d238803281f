"""What a program can see and do, asked from inside."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from restem.rewards import Reward

Returned = Callable[[str], bool]
HELPERS = """
import os

def refused(action):
    try:
        action()
    except Exception:
        return True
    return False

"""


def is_true(returned: Returned, body: str) -> bool:
    lines = body.strip().split("\n")
    return returned(
        HELPERS + "def answer():\n" + "\n".join(f"    {line}" for line in [*lines[:-1], f"return {lines[-1]}"])
    )


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc", "/sys", "/var", "/boot", "/run", "/dev/kmsg", "/dev/tty"])
def test_the_hosts_own_files_are_not_there(returned: Returned, path: str) -> None:
    assert is_true(returned, f"not os.path.lexists({path!r})")


def test_all_files_in_sight_are_pythons_own(returned: Returned) -> None:
    own = (
        "sys.base_prefix, os.path.realpath(sys.executable), '/usr/lib', '/lib', '/dev/', '/etc/ld.so.cache', '/usr/bin'"
    )
    body = "import sys\nfiles = [os.path.join(a, f) for a, _, c in os.walk('/') for f in c]\n"
    body += f"len(files) > 500 and all(file.startswith(({own})) for file in files)"

    assert is_true(returned, body)
    assert is_true(returned, "os.listdir('/dev/shm') == [] and sorted(os.listdir('/dev'))[:2] == ['null', 'random']")


def test_a_secret_file_of_the_user_cannot_be_read(returned: Returned, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cr3t")
    secret.chmod(0o644)

    assert is_true(returned, f"refused(lambda: open({str(secret)!r}).read())")


def test_nothing_outside_is_written_or_deleted(returned: Returned, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("alive")
    victim.chmod(0o666)
    tmp_path.chmod(0o777)

    body = f"refused(lambda: os.remove({str(victim)!r})) and refused(lambda: open({str(tmp_path / 'new')!r}, 'w'))"
    assert is_true(returned, body)
    assert victim.read_text() == "alive"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("folder", ["/", "/usr", "/dev", "/etc", "os.path.dirname(os.__file__)"])
def test_only_the_programs_own_folder_can_be_written(returned: Returned, folder: str) -> None:
    place = folder if folder.startswith("os") else repr(folder)

    assert is_true(
        returned, f"refused(lambda: open({place} + '/x', 'w')) and refused(lambda: os.mkdir({place} + '/y'))"
    )


def test_the_environment_holds_no_secret(judge: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    from restem.rewards import load_reward

    monkeypatch.setenv("API_TOKEN", "hf_s3cr3t")
    program = "import os, gc\ndef answer():\n    return 'hf_s3cr3t' in str(dict(os.environ))\n"
    gold = {"tests": "assert answer() is False", "entry_point": "answer"}

    with load_reward("code", workers=1) as reward:
        assert reward.score([{"gold": gold}], [program])[0].reason == "correct"


def test_packages_of_the_host_are_not_there(returned: Returned) -> None:
    imports = "refused(lambda: __import__('{}'))"

    assert is_true(
        returned, " and ".join(imports.format(name) for name in ("numpy", "torch", "kedro", "pip", "restem.errors"))
    )


@contextmanager
def listening(family: socket.AddressFamily, address: object) -> Iterator[tuple[socket.socket, list[object]]]:
    heard: list[object] = []
    with socket.socket(family) as server:
        server.bind(address)  # type: ignore[arg-type]
        server.listen()
        server.settimeout(0.2)

        def accept() -> None:
            with suppress(OSError):
                heard.append(server.accept())

        thread = threading.Thread(target=accept)
        thread.start()
        yield server, heard
        thread.join()


def test_loopback_of_the_host_is_not_reached(returned: Returned) -> None:
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as (server, heard):
        address = server.getsockname()
        body = f"import socket\nrefused(lambda: socket.create_connection({address!r}, timeout=1))"
        assert is_true(returned, body)
    assert not heard


def test_abstract_sockets_of_the_host_are_not_reached(returned: Returned) -> None:
    name = f"\0restem-test-{os.getpid()}"
    with listening(socket.AF_UNIX, name) as (_, heard):
        assert is_true(returned, f"import socket\nrefused(lambda: socket.socket(socket.AF_UNIX).connect({name!r}))")
    assert not heard


def test_sockets_in_the_hosts_files_are_not_reached(returned: Returned, tmp_path: Path) -> None:
    name = str(tmp_path / "socket")
    with listening(socket.AF_UNIX, name) as (_, heard):
        assert is_true(returned, f"import socket\nrefused(lambda: socket.socket(socket.AF_UNIX).connect({name!r}))")
    assert not heard


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG"])
def test_only_unix_sockets_can_be_made(returned: Returned, family: str) -> None:
    assert is_true(returned, f"import socket\nrefused(lambda: socket.socket(getattr(socket, {family!r}), 2))")


def test_the_program_is_nobody_and_cannot_become_anyone(returned: Returned) -> None:
    body = "os.getuid() not in (0, {0}) and refused(lambda: os.setuid(0)) and refused(lambda: os.setgid(0))"

    assert is_true(returned, body.format(os.getuid()))


SYSCALLS = {
    "ptrace": "libc.ptrace(16, 1, 0, 0)",
    "unshare of users": "libc.unshare(0x10000000)",
    "unshare of mounts": "libc.unshare(0x00020000)",
    "unshare of processes": "libc.unshare(0x20000000)",
    "mount": "libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None)",
    "unmount": "libc.umount2(b'/tmp', 2)",
    "chroot": "libc.chroot(b'/tmp')",
    "memfd": "libc.memfd_create(b'x', 0)",
    "System V memory": "libc.shmget(0x1234, 4096, 0o1666)",
    "System V queue": "libc.msgget(0x1234, 0o1666)",
    "keyring": "libc.syscall(250, 0, -3, 1)",
    "io_uring": "libc.syscall(425, 8, ctypes.create_string_buffer(120))",
    "bpf": "libc.syscall(321, 0, ctypes.create_string_buffer(120), 120)",
    "hostname": "libc.sethostname(b'x', 1)",
    "new user by clone": "libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)",
    "idle scheduling": "libc.sched_setscheduler(0, 5, ctypes.byref(ctypes.c_int(0)))",
    "scheduling parameters": "libc.sched_setparam(0, ctypes.byref(ctypes.c_int(0)))",
    "scheduling attributes": "libc.syscall(314, 0, ctypes.create_string_buffer(56), 0)",
    "priority": "libc.setpriority(0, 0, 19)",
    "priority of others": "libc.setpriority(0, 1, 19)",
    "niceness": "libc.nice(19)",
    "priority of input and output": "libc.syscall(251, 1, 0, 3 << 13)",
    "processors": "libc.sched_setaffinity(0, 8, ctypes.byref(ctypes.c_ulong(1)))",
    "syncfs": "libc.syncfs(os.open('/tmp', os.O_RDONLY))",
    "segments": "libc.syscall(154, 1, ctypes.create_string_buffer(16), 16)",
    "barriers on all processors": "libc.syscall(324, 1, 0)",
    "timers": "libc.syscall(222, 1, 0, ctypes.byref(ctypes.c_int(0)))",
    "watches of files": "libc.inotify_init1(0)",
    "asynchronous input and output": "libc.syscall(206, 1, ctypes.byref(ctypes.c_ulong(0)))",
    "locked memory": "libc.mlockall(1)",
    "secret memory": "libc.syscall(447, 0)",
    "faults by users": "libc.syscall(323, 0)",
    "performance counters": "libc.syscall(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "limits of others": "libc.prlimit(2, 7, ctypes.create_string_buffer(16), None)",
    "more memory": "libc.setrlimit(9, (ctypes.c_ulong * 2)(1 << 50, 1 << 50))",
}


@pytest.mark.parametrize("name", SYSCALLS)
def test_system_calls_that_reach_out_are_refused(returned: Returned, name: str) -> None:
    assert is_true(returned, f"import ctypes\nlibc = ctypes.CDLL(None)\n{SYSCALLS[name]} == -1")


def test_no_process_but_its_own_is_in_sight(returned: Returned) -> None:
    body = "import signal\nall(refused(lambda: os.kill(pid, 0)) for pid in range(2, 5000)) and os.getppid() == 0"

    assert is_true(returned, body)


def test_no_descriptor_but_its_own_is_open(returned: Returned) -> None:
    assert is_true(returned, "all(refused(lambda: os.fstat(fd)) for fd in range(4, 64))")


def test_nothing_is_left_for_the_next_program(reward: Reward) -> None:
    leave = (
        "import os, sys, socket\nopen('/tmp/left', 'w').write('x')\nopen('sitecustomize.py', 'w').write('x = 1')\n"
        "sys.path.insert(0, '/tmp')\nos.environ['LEFT'] = '1'\nimport random\nrandom.seed(7)\n"
        "import math\nmath.left = 1\ndef answer(): return True\n"
    )
    look = (
        "import os, sys, math, random\ndef answer():\n    return not os.listdir('/tmp') and 'LEFT' not in os.environ "
        "and not hasattr(math, 'left') and '/tmp' not in sys.path\n"
    )
    gold = {"gold": {"tests": "assert answer() is True", "entry_point": "answer"}}

    verdicts = reward.score([gold] * 8, [text + f"# {n}" for n in range(4) for text in (leave, look)])

    assert [verdict.reason for verdict in verdicts] == ["correct"] * 8


def test_the_same_program_draws_the_same_numbers_again(reward: Reward) -> None:
    program = "import random\ndef answer():\n    return [random.random(), hash('text')]\n"
    gold = {"tests": "first = answer()\nassert first == {}", "entry_point": "answer"}
    values = [0.8444218515250481, hash("text")]

    ask = [{"gold": {**gold, "tests": f"assert answer()[0] == {values[0]!r}  # {n}"}} for n in range(4)]

    assert [verdict.reason for verdict in reward.score(ask, [program] * 4)] == ["correct"] * 4
