"""The system calls that a program is refused.

Namespaces already take away files, processes and the network. The filter takes away what they do not cover: kernel
keyrings and System V memory (which would outlive the program), sockets other than UNIX ones (vsock reaches the
machine below a virtual machine), memory that no limit counts, a say in when processes run (a program that is last in
every queue cannot be ended in time), what slows the whole machine down, limits of other processes, and the calls
through which kernels are attacked. The keeper holds itself to the filter, and all its children inherit it; that costs
them nothing.
"""

import errno
import struct

from restem.rewards.sandbox import linux

# Source: linux/audit.h, and the system call tables of the two architectures in the kernel's sources
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NUMBERS = {
    "x86_64": {
        "mmap": 9, "shmget": 29, "socket": 41, "socketpair": 53, "clone": 56, "semget": 64, "msgget": 68, "ptrace": 101,
        "syslog": 103, "personality": 135, "pivot_root": 155, "acct": 163, "mount": 165, "umount2": 166, "swapon": 167,
        "reboot": 169, "init_module": 175, "quotactl": 179, "lookup_dcookie": 212, "mq_open": 240, "kexec_load": 246,
        "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "vmsplice": 278, "move_pages": 279,
        "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
        "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "memfd_create": 319,
        "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
        "kill": 62, "prlimit64": 302, "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144,
        "sched_setaffinity": 203, "sched_setattr": 314, "ioprio_set": 251, "sync": 162, "syncfs": 306,
        "modify_ldt": 154, "adjtimex": 159, "clock_adjtime": 305, "clock_settime": 227, "settimeofday": 164,
        "vhangup": 153, "swapoff": 168, "iopl": 172, "ioperm": 173, "delete_module": 176, "io_setup": 206,
        "timer_create": 222, "inotify_init": 253, "inotify_init1": 294, "mbind": 237, "set_mempolicy": 238,
        "migrate_pages": 256, "membarrier": 324, "mlock": 149, "mlockall": 151, "mlock2": 325, "uselib": 134,
        "sysfs": 139, "ustat": 136,
    },
    "aarch64": {
        "mmap": 222, "shmget": 194, "socket": 198, "socketpair": 199, "clone": 220, "semget": 190, "msgget": 186,
        "ptrace": 117, "syslog": 116, "personality": 92, "pivot_root": 41, "acct": 89, "mount": 40, "umount2": 39,
        "swapon": 224, "reboot": 142, "init_module": 105, "quotactl": 60, "lookup_dcookie": 18, "mq_open": 180,
        "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "vmsplice": 75,
        "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264,
        "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
        "finit_module": 273, "memfd_create": 279, "kexec_file_load": 294, "bpf": 280, "userfaultfd": 282,
        "kill": 129, "prlimit64": 261, "setpriority": 140, "sched_setparam": 118, "sched_setscheduler": 119,
        "sched_setaffinity": 122, "sched_setattr": 274, "ioprio_set": 30, "sync": 81, "syncfs": 267,
        "adjtimex": 171, "clock_adjtime": 266, "clock_settime": 112, "settimeofday": 170, "vhangup": 58,
        "swapoff": 225, "delete_module": 106, "io_setup": 0, "timer_create": 107, "inotify_init1": 26, "mbind": 235,
        "set_mempolicy": 237, "migrate_pages": 238, "membarrier": 283, "mlock": 228, "mlockall": 230, "mlock2": 284,
    },
}  # fmt: skip
_ON_BOTH = {  # calls since Linux 5.1 have one number everywhere
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447, "set_mempolicy_home_node": 450,
}  # fmt: skip
_CLONE3 = 435  # "there is no such call" makes the C library use clone, whose flags can be looked at
_CONDITIONAL = ("mmap", "socket", "socketpair", "clone", "unshare", "kill", "prlimit64")
_WITH_CAPABILITY = ("mount", "umount2", "setns")  # the keeper, which is held to the filter too, has it; programs do not
_OTHER_ABI = 0x40000000  # x32 calls on x86_64
_NAMESPACE_FLAGS = 0x7E020000
_SHARED_ANONYMOUS = 0x21  # memory that lives on in whoever inherited it, in nobody's count
_UNIX_SOCKETS = 1
# Programs that kill themselves, their group or everybody: the first process of a namespace would survive it.
_SUICIDES = (0, 0xFFFFFFFF, 1)

# Source: linux/bpf_common.h, linux/seccomp.h
_LOAD, _AND, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE_AT, _FIRST_ARGUMENT = 0, 4, 16


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)


def _refuse_when(number: int, *test: bytes) -> list[bytes]:
    """Return steps that refuse a call for which the last test says so, and leave every other call alone."""
    after = [*test, _step(_RETURN, _ERROR | errno.EPERM), _step(_RETURN, _ALLOW)]
    return [_step(_IF_EQUAL, number, 0, len(after)), *after]


def _end_when_killing(number: int) -> list[bytes]:
    """Return steps that end the process which sends the signal that ends to itself, or to itself among others."""
    n_targets = len(_SUICIDES)
    targets = [_step(_IF_EQUAL, target, n_targets - index, 0) for index, target in enumerate(_SUICIDES)]
    after = [
        _argument(1),
        _step(_IF_EQUAL, linux.KILL, 0, 1 + n_targets),
        _argument(0),
        *targets,
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _KILL),
    ]
    return [_step(_IF_EQUAL, number, 0, len(after)), *after]


def _argument(index: int) -> bytes:
    return _step(_LOAD, _FIRST_ARGUMENT + 8 * index)


def build() -> linux.CallFilter:
    """Return the filter for this machine.

    Raises:
        OSError: If the architecture is not one of the two whose numbers are known.
    """
    machine = linux.machine()
    if machine not in _NUMBERS:
        raise OSError(errno.ENOSYS, f"the sandbox knows the system calls of {', '.join(_NUMBERS)}, not of {machine}")
    numbers = _NUMBERS[machine]
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_IF_EQUAL, _ARCHITECTURE[machine], 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_IF_AT_LEAST, _OTHER_ABI, 0, 1),
        _step(_RETURN, _ERROR | errno.EPERM),
        *_refuse_when(numbers["mmap"], _argument(3), _step(_AND, _SHARED_ANONYMOUS), _skip_unless(_SHARED_ANONYMOUS)),
        *_refuse_when(numbers["clone"], _argument(0), _step(_IF_ANY_BIT, _NAMESPACE_FLAGS, 0, 1)),
        *_refuse_when(numbers["unshare"], _argument(0), _step(_IF_EQUAL, linux.NEW_PIDS, 1, 0)),
        *_refuse_when(numbers["socket"], _argument(0), _step(_IF_EQUAL, _UNIX_SOCKETS, 1, 0)),
        *_refuse_when(numbers["socketpair"], _argument(0), _step(_IF_EQUAL, _UNIX_SOCKETS, 1, 0)),
        *_refuse_when(numbers["prlimit64"], _argument(0), _step(_IF_EQUAL, 0, 1, 0)),  # limits of others
        *_end_when_killing(numbers["kill"]),
        _step(_IF_EQUAL, _CLONE3, 0, 1),
        _step(_RETURN, _ERROR | errno.ENOSYS),
    ]
    refused = sorted(
        {number for name, number in numbers.items() if name not in _CONDITIONAL + _WITH_CAPABILITY}
        | {*_ON_BOTH.values()}
    )
    for index, number in enumerate(refused):
        steps.append(_step(_IF_EQUAL, number, len(refused) - index, 0))
    steps += [_step(_RETURN, _ALLOW), _step(_RETURN, _ERROR | errno.EPERM)]
    return linux.CallFilter(b"".join(steps))


def _skip_unless(value: int) -> bytes:
    return _step(_IF_EQUAL, value, 0, 1)
