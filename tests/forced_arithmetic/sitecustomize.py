"""Makes `dtype: auto` what RESTEM_TEST_DTYPE says, in every process that has this folder on its path.

So one machine tests what `auto` is on another: bfloat16 is computed everywhere, natively or emulated.
"""

import os

FORCED = os.environ.get("RESTEM_TEST_DTYPE")

if FORCED:
    if FORCED not in {"float32", "bfloat16"}:
        raise SystemExit(f"RESTEM_TEST_DTYPE must be float32 or bfloat16, got {FORCED!r}")
    from restem.engines import arithmetic

    arithmetic.native_dtype = lambda _kind: FORCED
