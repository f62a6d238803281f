"""Refuse a name for the project's package that Python could not import, or would import something else by."""

import importlib.util
import keyword
import sys

PACKAGE = "{{ cookiecutter.python_package }}"

if not PACKAGE.isidentifier() or keyword.iskeyword(PACKAGE):
    sys.exit(f"python_package is {PACKAGE!r}, which is no name that Python can import: choose another project name")
if PACKAGE in sys.stdlib_module_names or importlib.util.find_spec(PACKAGE) is not None:
    sys.exit(f"python_package is {PACKAGE!r}, which is a package that is there already: choose another project name")
