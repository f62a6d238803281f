"""The arithmetic that a policy is computed in: what `dtype: auto` and the device become on this machine.

In bfloat16 a rounding error is large enough to change a token, and a GPU rounds otherwise than a CPU. So the
arithmetic belongs to what decides a result, resolved and not as it was asked for.
"""

from typing import NamedTuple

from restem.errors import EngineError

_DTYPES = ("auto", "float32", "bfloat16")


class Arithmetic(NamedTuple):
    """What a policy is computed in."""

    dtype: str  # float32 or bfloat16
    device: str  # the kind: cpu, cuda, ...

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.dtype} on {self.device}"


def arithmetic_of(dtype: str, device: str | None = None) -> Arithmetic:
    """Return what a dtype and a device become here; no weights are looked at.

    Args:
        dtype: auto, float32 or bfloat16; auto is bfloat16 where the hardware multiplies it natively.
        device: As torch names it; None is the GPU if there is one.

    Raises:
        EngineError: If there is no such dtype, or auto cannot be resolved for want of the device.
    """
    if dtype not in _DTYPES:
        raise EngineError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
    kind = (device or fastest_device()).partition(":")[0]
    return Arithmetic(native_dtype(kind) if dtype == "auto" else dtype, kind)


def fastest_device() -> str:
    """Return the device that is used if none is asked for."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def native_dtype(kind: str) -> str:
    """Return what `auto` is on a kind of device.

    Raises:
        EngineError: If the device is not there to be asked.
    """
    import torch

    if kind == "cuda":
        if not torch.cuda.is_available():
            raise EngineError(
                "the device 'cuda' cannot be used: there is none, so dtype=auto cannot be resolved for it"
            )
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if kind == "cpu" and _cpu_has_bfloat16() else "float32"


def _cpu_has_bfloat16() -> bool:
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
