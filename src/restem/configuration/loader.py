"""Kedro's configuration loader, with methods: named differences between the preset and --params."""

from copy import deepcopy
from typing import Any

from kedro.config import OmegaConfigLoader

from restem.configuration.resolve import resolve


class MethodConfigLoader(OmegaConfigLoader):
    """Reads methods.yml beside parameters.yml, and every file once per session."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with nothing read."""
        self._read: dict[str, dict[str, Any]] = {}
        super().__init__(*args, **kwargs)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a configuration; of the parameters, what they are once the method is chosen."""
        if key not in self._read:
            self._read[key] = self._load(key)
        return deepcopy(self._read[key])

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a configuration, in place of what files say."""
        self._read.pop(key, None)
        super().__setitem__(key, value)

    def _load(self, key: str) -> dict[str, Any]:
        config: dict[str, Any] = super().__getitem__(key)
        if key != "parameters":
            return config
        return resolve(config, methods=super().__getitem__("methods"), runtime=self.runtime_params)
