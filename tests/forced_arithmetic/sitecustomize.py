"""Makes `dtype: auto` what RESTEM_TEST_DTYPE says, in every process that has this folder on its path.

So one machine tests what `auto` is on another: bfloat16 is computed everywhere, natively or emulated.
"""

import os

_OTHER = {"float32": "bfloat16", "bfloat16": "float32"}


def force(asked: str) -> None:
    """Let `auto` be float32, bfloat16, or the other one than it is on this machine."""
    from restem.engines import arithmetic

    native = arithmetic.native_dtype
    if asked == "other":
        arithmetic.native_dtype = lambda kind: _OTHER[native(kind)]
    elif asked in _OTHER:
        arithmetic.native_dtype = lambda _kind: asked
    else:
        raise SystemExit(f"RESTEM_TEST_DTYPE must be float32, bfloat16 or other, got {asked!r}")


if os.environ.get("RESTEM_TEST_DTYPE"):
    force(os.environ["RESTEM_TEST_DTYPE"])
