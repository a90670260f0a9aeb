"""What a cluster needs before the controller runs, as text for ``kubectl apply -f -``.

The manifests are files beside this module; only names and addresses are put into them, and only such as cannot be
anything else in YAML.
"""

import re
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Final

from pfgov.errors import InvalidError

FOLDER: Final = "deploy"
GATE: Final = "40-gate.yaml"
DEPLOYMENT: Final = "50-deployment.yaml"

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE: Final = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,254}")
_URL: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]{1,255}/?")
_USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,252}")


class NotANameError(InvalidError):
    """Something cannot stand in a manifest."""

    code = "kubernetes.name"


@dataclass(frozen=True, slots=True)
class Places:
    """What is put into the manifests; without an image there is no Deployment."""

    namespace: str = "pfgov-system"
    cluster: str = "cluster"
    scheduler: str = "system:kube-scheduler"
    url: str | None = None
    image: str | None = None
    gives_gate: bool = True

    @property
    def account(self) -> str:
        """The controller's user name in the cluster."""
        return f"system:serviceaccount:{self.namespace}:pfgov-controller"


def check_cluster(name: str) -> str:
    """Return *name* if a cluster can be called so.

    Raises:
        NotANameError: it is no DNS label.
    """
    return _checked(name, _NAME, "a name of a cluster or namespace", "small letters, digits and -")


def render(places: Places) -> str:
    """Return the manifests as one stream of YAML documents.

    Raises:
        NotANameError: a name or an address is none.
    """
    values = {
        "namespace": check_cluster(places.namespace),
        "cluster": check_cluster(places.cluster),
        "scheduler": _checked(
            places.scheduler, _USER, "a user of the cluster", "such as system:kube-scheduler"
        ),
        "account": places.account,
    }
    if places.image is not None:
        values["image"] = _checked(
            places.image, _IMAGE, "an image", "such as registry.example/pfgov:0.1.0"
        )
        values["url"] = _checked(
            places.url or "", _URL, "a server's URL", "such as https://ledger.example"
        )
    return "---\n".join(Template(text).substitute(values) for text in _texts(places))


def _texts(places: Places) -> list[str]:
    folder = resources.files("pfgov.kubernetes") / FOLDER
    wanted = {GATE: places.gives_gate, DEPLOYMENT: places.image is not None}
    files = sorted(
        (one for one in folder.iterdir() if one.name.endswith(".yaml")), key=lambda one: one.name
    )
    return [one.read_text(encoding="utf-8") for one in files if wanted.get(one.name, True)]


def _checked(text: str, pattern: re.Pattern[str], what: str, hint: str) -> str:
    if not pattern.fullmatch(text):
        raise NotANameError(f"{text!r} is not {what}", hint=hint)
    return text
