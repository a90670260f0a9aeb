"""Where the API server of the cluster is and how to prove who asks: the pod's own account, or what is named.

This module reads files and the environment; it opens no connection.  Files of tokens are read anew, since they are
replaced while the controller runs.
"""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pfgov.errors import InputError, file_errors

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST: Final = "KUBERNETES_SERVICE_HOST"
PORT: Final = "KUBERNETES_SERVICE_PORT"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_LENGTH_MAX: Final = 65_536
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class NoClusterError(InputError):
    """It is not said where the cluster is, or how to speak to it."""

    code = "kubernetes.no_cluster"


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach an API server: its URL, the file of a bearer token, and the authorities to trust."""

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None
    certificate: tuple[Path, Path] | None = None
    namespace: str = "default"

    def token(self) -> str | None:
        """Return the token as it is now.

        Raises:
            StoreUnavailableError: its file cannot be read.
            NoClusterError: it holds no token.
        """
        if self.token_file is None:
            return None
        with file_errors(self.token_file):
            text = self.token_file.read_text(encoding="ascii", errors="replace").strip()
        if len(text) > TOKEN_LENGTH_MAX or not _TOKEN.fullmatch(text):
            raise NoClusterError(f"{self.token_file} holds no token")
        return text

    def trust(self) -> ssl.SSLContext:
        """Return whom to trust.

        Raises:
            NoClusterError: a file of certificates cannot be used.
        """
        try:
            context = ssl.create_default_context(
                cafile=None if self.ca_file is None else str(self.ca_file)
            )
            if self.certificate is not None:
                context.load_cert_chain(*map(str, self.certificate))
        except (OSError, ssl.SSLError) as error:
            raise NoClusterError(f"the certificates cannot be used: {error}") from error
        return context


def connection(
    url: str | None = None,
    *,
    token_file: Path | None = None,
    ca_file: Path | None = None,
    certificate: tuple[Path, Path] | None = None,
    environment: Mapping[str, str] | None = None,
    account: Path = ACCOUNT,
) -> Connection:
    """Return how to reach the cluster: as named, else the one that this process runs in.

    Raises:
        NoClusterError: it runs in none and none is named, or a token would go over a network in the clear.
    """
    known = os.environ if environment is None else environment
    if url is None:
        if not known.get(HOST):
            raise NoClusterError(
                "this process runs in no cluster",
                hint="name one: --kubernetes http://127.0.0.1:8001, where kubectl proxy listens",
            )
        host = known[HOST]
        named = f"[{host}]" if ":" in host else host
        namespace = account / "namespace"
        with file_errors(namespace):
            inside = namespace.read_text(encoding="utf-8").strip()
        return Connection(
            f"https://{named}:{known.get(PORT, '443')}",
            account / "token",
            account / "ca.crt",
            None,
            inside,
        )
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise NoClusterError(
            f"{url!r} is not the URL of an API server", hint="such as https://10.0.0.1:6443"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise NoClusterError("the URL of an API server holds no user, query or fragment")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise NoClusterError(
            f"{url!r} is not encrypted", hint="use https, or kubectl proxy on this machine"
        )
    return Connection(url.rstrip("/"), token_file, ca_file, certificate)
