"""Kedro's configuration loader, with methods: named differences between the preset and --params."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader

from restem.configuration.resolve import resolve
from restem.errors import ParameterError

_NO_ENVIRONMENTS = {"base", "accelerate", "studies"}  # folders of conf/ that are something else
_EXPERIMENT = "default"  # without an environment


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
        try:
            config: dict[str, Any] = super().__getitem__(key)
        except MissingConfigException as error:
            self._refuse_missing_folders(error)
            raise
        if key == "globals":
            # An environment of its own has an experiment of its own, so that it writes into no other one.
            own = self.env not in (None, self.base_env, self.default_run_env)
            return {"experiment": self.env if own else _EXPERIMENT, **config}
        if key != "parameters":
            return config
        named = (self.runtime_params or {}).get("experiment", self["globals"]["experiment"])
        if config.get("experiment", named) != named:
            raise ParameterError(
                f"experiment is {config['experiment']!r} in parameters.yml, which names no folder: name it in "
                f"globals.yml beside it, or for one run with --params=experiment={config['experiment']}"
            )
        return resolve(config, methods=super().__getitem__("methods"), runtime=self.runtime_params)

    def _refuse_missing_folders(self, error: MissingConfigException) -> None:
        folder = Path(self.conf_source)
        is_folder = "://" not in str(self.conf_source) and not folder.is_file()  # and neither an archive nor a store
        if is_folder and not (folder / self.base_env).is_dir():
            raise ParameterError(
                f"there is no configuration: {folder / self.base_env} is missing. Change to the folder that holds "
                "conf/, or name another one with --conf-source"
            ) from error
        if self.env is None or not folder.is_dir() or (folder / self.env).is_dir():
            return
        known = sorted(each.name for each in folder.iterdir() if each.is_dir() and each.name not in _NO_ENVIRONMENTS)
        raise ParameterError(
            f"there is no environment {self.env!r}: {folder} has {', '.join(known) or 'none'}. Your own is a folder "
            f"there, with a parameters.yml that says what is other than in base"
        ) from error
