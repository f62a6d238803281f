"""A project of one's own: `restem init` and `kedro new --starter=restem` make it from one template.

The template is the folder `starter/` of the repository, and a part of the package; its `conf/` is the repository's.
"""

from restem.starter.making import Made, make_project

__all__ = ["Made", "make_project"]
