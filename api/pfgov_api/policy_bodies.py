"""The bodies of requests about policies, which the server and the child that tries them out read alike."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pfgov import model
from pfgov.app.change.bundling import BUNDLE_BYTES_MAX
from pfgov.app.policies import NAME
from pfgov.core.verdicts import PLACING
from pfgov.limits import INTEGER_MAX, TEXT_LENGTH_MAX
from pfgov.model import Wire
from pfgov.model.fields import Bounded, refuse

FILES_MAX: Final = 64
FILE_LENGTH_MAX: Final = 65_536
MEMBERS_MAX: Final = 100

Files = Annotated[
    dict[str, Annotated[str, Field(max_length=FILE_LENGTH_MAX)]],
    Field(
        min_length=1,
        max_length=FILES_MAX,
        json_schema_extra={"propertyNames": {"pattern": f"^{NAME.pattern}$"}},
    ),
]


Placing = Literal["register", "assign", "handoff", "accept", "retain"]
"""A decision point at which nothing is allowed where no policy covers it."""


class PolicyFiles(Wire):
    """A policy set: file name -> YAML text."""

    files: Files


REPORT_LENGTH_MAX: Final = 1_048_576

Report = Annotated[
    str,
    Field(
        min_length=1,
        max_length=REPORT_LENGTH_MAX,
        description="A signed report of impact, as `pfgov policy impact --sign` writes it.",
    ),
]
BundleText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=BUNDLE_BYTES_MAX,
        description="A signed bundle, as `pfgov policy bundle build` writes it, in place of `files`.",
    ),
]


class Carried(Wire):
    """A policy set, as file name -> YAML text or as a bundle: one of the two."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["files"]}, {"required": ["bundle"]}]}
    )

    files: Files | None = None
    bundle: BundleText | None = None

    @model_validator(mode="after")
    def _one_set(self) -> Self:
        if (self.files is None) == (self.bundle is None):
            raise refuse("name either files or bundle")
        return self


class Activation(Carried):
    """A policy set; the placing points that it may leave uncovered, and a report of its impact."""

    report: Report | None = None
    leave_uncovered: Annotated[tuple[Placing, ...], Bounded(len(PLACING))] = Field(
        default=(),
        description="Placing points without a rule in the set at which nothing shall be allowed; "
        "another one without a rule is `policy.uncovered`.",
    )


Note = Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH_MAX)]


class PolicyProposal(Carried):
    """A policy set that is proposed, why, and a report of its impact."""

    note: Note | None = None
    report: Report | None = None


class Sent(Activation):
    """What may come with files that are compiled, for whoever only compiles them; each route has its own body."""

    note: Note | None = None


class Rollback(Wire):
    """An earlier policy set, by its digest or what it begins with: the last one by default."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{1,64}$")] | None = None
    emergency: bool = Field(
        default=False,
        description="Ask for nothing that the configuration or the binding set demands; needs the scope `emergency`.",
    )


class ProposalReview(Wire):
    """Which proposal was looked at, by the position of its entry, and what there is to say."""

    proposal: Annotated[int, Field(ge=0, le=INTEGER_MAX)]
    note: Note | None = None


class Weighing(PolicyFiles):
    """A policy set whose impact is asked for: file name -> YAML text.

    ``since`` is the first entry that is asked about, ``sample`` one command in so many.
    """

    since: Annotated[int, Field(ge=0, le=INTEGER_MAX)] = 0
    sample: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class ShadowQuestion(Wire):
    """Which decisions policies in shadow mode are asked about: from an entry on, at one command in so many."""

    since: Annotated[int, Field(ge=0, le=INTEGER_MAX)] = 0
    sample: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class Promotion(Wire):
    """A policy of the binding set that is in shadow mode, and the points that the set may leave uncovered."""

    name: Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH_MAX)]
    report: Report | None = None
    leave_uncovered: Annotated[tuple[Placing, ...], Bounded(len(PLACING))] = ()


TEST_FILES_MAX: Final = 64
TEST_FILE_LENGTH_MAX: Final = 262_144

Tests = Annotated[
    dict[str, Annotated[str, Field(max_length=TEST_FILE_LENGTH_MAX)]],
    Field(
        min_length=1,
        max_length=TEST_FILES_MAX,
        json_schema_extra={"propertyNames": {"pattern": f"^{NAME.pattern}$"}},
        description="Tests and the fixtures that they name: file name -> YAML text. `NAME.test.yaml` is a test, every "
        "other name holds fixtures.",
    ),
]


class PolicyTests(Wire):
    """Tests, and the set that they are run against: sent as files or as a bundle, recorded under a digest, or binding.

    A bundle brings tests of its own; those are run where no others come with it.
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["tests"]}, {"required": ["bundle"]}]}
    )

    tests: Tests | None = None
    files: Files | None = None
    bundle: BundleText | None = None
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _one_set(self) -> Self:
        if sum(one is not None for one in (self.files, self.bundle, self.digest)) > 1:
            raise refuse("name one of files, bundle and digest")
        if self.tests is None and self.bundle is None:
            raise refuse("name tests, or a bundle that has some")
        return self


class PolicyQuestion(Wire):
    """A question to a policy set that need not be binding; nothing is recorded."""

    files: Files | None = None
    packet: model.FlightPacket
    members: Annotated[
        tuple[model.MemberRegistration, ...],
        Bounded(MEMBERS_MAX, unique=False),
        Field(json_schema_extra={"minItems": 1}),
    ]
    action: Literal["assign", "handoff", "accept", "retain"] = "assign"
    source: model.MemberRegistration | None = None
    in_full: bool = Field(
        default=False,
        description="Say of each rule that applies what each part of its conditions came to.",
    )
