"""The machine that restem is to run on: what it is, and what that means.

`looking` looks; `findings` says of what was seen, in words and without looking at anything, whether restem can run.
"""
