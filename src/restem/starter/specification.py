"""What Kedro finds by the entry point `kedro.starters`."""

from kedro.framework.cli.starters import KedroStarterSpec

from restem.starter.making import TEMPLATE

STARTERS = [KedroStarterSpec("restem", str(TEMPLATE))]
