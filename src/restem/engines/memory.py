"""How many rows fit."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import device

_SHARE = 0.5  # of the free memory that caches may take; the rest is for activations, and for others
_SHARE_AT_MOST = 0.9  # of the free memory, for rows that were found to fit before
# Rows; wider batches gain nothing. On one thread of an AMD EPYC (AVX2) that had other work too, a model of
# SmolLM2-135M's size in float32, prompts of 115 tokens and 32 samples of 24 each, gave 46, 94, 127 and 121 tokens per
# second of processor time with 16, 64, 256 and 512 rows. On GPUs it was not measured: there memory is what limits.
_WIDEST = {"cpu": 256, "cuda": 1024}


def batch_width(device: "device", *, bytes_per_row: int) -> int:
    """Return how many rows to draw at once: a power of two, so that a little memory more or less changes nothing."""
    fitting = max(1, int(_SHARE * free_bytes(device)) // max(1, bytes_per_row))
    return min(_WIDEST.get(device.type, _WIDEST["cpu"]), 1 << (fitting.bit_length() - 1))


def still_fits(device: "device", *, bytes_per_row: int, n_rows: int) -> bool:
    """Return whether so many rows still fit; a looser measure than `batch_width`'s, for free memory comes and goes."""
    return n_rows * bytes_per_row <= _SHARE_AT_MOST * free_bytes(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether it says that memory ran out."""
    import torch

    # The CPU's allocator raises a plain RuntimeError.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def free_bytes(device: "device") -> int:
    """Return how much memory this process may still take on the device."""
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + cached)
    return free_bytes_of_machine()


def free_bytes_of_machine() -> int:
    """Return how much of the main memory may still be taken, here or in this container."""
    return min(_available_in_machine(), _available_in_container())


def _available_in_machine() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _available_in_container() -> int:
    group = Path("/sys/fs/cgroup")
    limit, used = group / "memory.max", group / "memory.current"
    if not limit.exists() or not used.exists() or limit.read_text().strip() == "max":
        return 1 << 62
    return max(0, int(limit.read_text()) - int(used.read_text()))
