"""PyJWT, which checks signatures and claims; asked for only where an issuer is set up."""

import importlib
from typing import Any

from pfgov.errors import PfgovError


class MissingOidcError(PfgovError):
    """Tokens were asked for, and the library that verifies them is not installed."""

    code = "oidc.not_installed"


def jwt() -> Any:
    """Return the module ``jwt``.

    Raises:
        MissingOidcError: it is not installed.
    """
    try:
        return importlib.import_module("jwt")
    except ImportError as error:
        raise MissingOidcError("tokens need PyJWT", hint="install it: pip install PyJWT") from error
