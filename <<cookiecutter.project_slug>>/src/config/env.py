"""Configuration from environment variables, each also readable from a file."""

import sys
from typing import Any

from environs import FileAwareEnv


class Env(FileAwareEnv):
    """Collects every missing or invalid variable, to report them together.

    `NAME_FILE` names a file that holds the value of `NAME`, as mounted secrets do;
    it takes precedence over `NAME`.
    """

    def __init__(self) -> None:
        super().__init__(eager=False, strip_whitespace=True)

    def _get_value(self, env_key: str, default: Any) -> Any:
        try:
            return super()._get_value(env_key, default)
        except (OSError, ValueError):
            self._errors[f"{env_key}_FILE"].append("Not a readable text file.")
            return default

    def seal(self) -> None:
        """End the process with status 1 and one line a problem, if there is any.

        The lines name variables and what is wrong with them, never their values.
        """
        problems = [f"  {name}: {' '.join(why)}" for name, why in self._errors.items()]
        if problems:
            heading = "The configuration is incomplete or invalid:"
            sys.exit("\n".join([heading, *problems]))
        super().seal()
