"""Who may what, as the shipped manifests say it: RBAC's rules, and the admission policies run as the CEL that they are.

A second implementation of CEL (celpy) evaluates them, so that no test trusts our own words about what they refuse.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import celpy
from celpy import celtypes
from ruamel.yaml import YAML

SUBRESOURCES_OF_PODS = ("status", "binding", "eviction", "resize", "ephemeralcontainers")


@dataclass
class Request:
    """One request, as admission sees it."""

    user: str
    verb: str
    group: str
    resource: str
    sub: str | None = None
    namespace: str | None = None
    name: str | None = None
    old: Any = None
    new: Any = None
    groups: tuple[str, ...] = ()

    @property
    def full(self) -> str:
        """Resource and subresource, as rules name them."""
        return self.resource if self.sub is None else f"{self.resource}/{self.sub}"


@lru_cache
def _documents(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


@dataclass
class Manifests:
    """What was applied to the cluster."""

    documents: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> "Manifests":
        """Read a stream of YAML documents."""
        return cls(copy.deepcopy(_documents(text)))

    def kind(self, kind: str) -> list[Any]:
        """Return the documents of one kind."""
        return [one for one in self.documents if one["kind"] == kind]

    def rules(self) -> list[tuple[str | None, Any]]:
        """Return each rule of the controller with the namespace that it is for."""
        cluster = [(None, rule) for one in self.kind("ClusterRole") for rule in one["rules"]]
        inside = [
            (one["metadata"]["namespace"], rule)
            for one in self.kind("Role")
            for rule in one["rules"]
        ]
        return cluster + inside

    def verbs(self) -> list[tuple[str, str, str]]:
        """Return each (group, resource, verb) that the controller is given."""
        return sorted(
            {
                (group, resource, verb)
                for _, rule in self.rules()
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
        )


def may(rules: Iterable[tuple[str | None, Any]], asked: Request) -> bool:
    """Whether RBAC lets a request pass."""
    for namespace, rule in rules:
        named = rule.get("resourceNames")
        if (
            (namespace is None or namespace == asked.namespace)
            and asked.group in rule["apiGroups"]
            and asked.full in rule["resources"]
            and asked.verb in rule["verbs"]
            and (named is None or asked.name in named)
        ):
            return True
    return False


OPERATIONS = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE"}


class _Authorizer:
    """``authorizer`` of Kubernetes' CEL, as far as the policies use it."""

    def __init__(self, allowed: bool) -> None:
        self.is_allowed = allowed

    def bind(self) -> dict[str, Any]:
        """Return the functions that its chain of calls is."""
        same = lambda _self, *_: celtypes.StringType("authorizer")  # noqa: E731
        names = ("group", "resource", "name", "check")
        return {
            **dict.fromkeys(names, same),
            "allowed": lambda _self: celtypes.BoolType(self.is_allowed),
        }


class Admission:
    """The admission policies of some manifests."""

    def __init__(self, manifests: Manifests) -> None:
        self.policies = [one["spec"] for one in manifests.kind("ValidatingAdmissionPolicy")]
        self.gives_gate = bool(manifests.kind("MutatingAdmissionPolicy"))
        self._programs: dict[tuple[str, bool], Any] = {}
        self.governors: set[str] = set()

    def refusal(self, asked: Request, labels: Mapping[str, str]) -> str | None:
        """Return why *asked* is refused in a namespace with *labels*, None if it is not."""
        for policy in self.policies:
            if not self._matches(policy["matchConstraints"], asked, labels):
                continue
            names = self._names(policy, asked)
            is_governor = asked.user in self.governors
            if not all(
                self._run(one["expression"], names, is_governor)
                for one in policy.get("matchConditions", [])
            ):
                continue
            for one in policy["validations"]:
                if not self._run(one["expression"], names, is_governor):
                    return str(one["message"])
        return None

    def _matches(self, constraints: Any, asked: Request, labels: Mapping[str, str]) -> bool:
        operation = OPERATIONS.get(asked.verb)
        hit = any(
            asked.group in rule["apiGroups"]
            and operation in rule["operations"]
            and asked.full in rule["resources"]
            for rule in constraints["resourceRules"]
        )
        within = constraints.get("namespaceSelector", {}).get("matchLabels", {})
        by_label = constraints.get("objectSelector", {}).get("matchLabels", {})
        objects = [one["metadata"].get("labels", {}) for one in (asked.old, asked.new) if one]
        is_selected = not by_label or any(by_label.items() <= one.items() for one in objects)
        return hit and within.items() <= labels.items() and is_selected

    def _names(self, policy: Any, asked: Request) -> dict[str, Any]:
        request: dict[str, Any] = {
            "userInfo": {"username": asked.user, "groups": list(asked.groups)}
        }
        if asked.sub is not None:
            request["subResource"] = asked.sub
        names: dict[str, Any] = {
            "object": celpy.json_to_cel(asked.new),
            "oldObject": celpy.json_to_cel(asked.old),
            "request": celpy.json_to_cel(request),
            "authorizer": celtypes.StringType("authorizer"),
        }
        variables = celtypes.MapType()
        for one in policy.get("variables", []):
            found = self._run(one["expression"], {**names, "variables": variables}, False)
            variables[celtypes.StringType(one["name"])] = found
        return {**names, "variables": variables}

    def _run(self, expression: str, names: dict[str, Any], is_governor: bool) -> Any:
        key = (expression, is_governor)
        if key not in self._programs:
            environment = celpy.Environment()
            program = environment.program(
                environment.compile(expression), functions=_Authorizer(is_governor).bind()
            )
            self._programs[key] = program
        return self._programs[key].evaluate(names)
