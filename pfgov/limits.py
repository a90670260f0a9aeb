"""Every bound of the system, named once.

Nothing in pfgov grows without a limit: a packet, a member, a policy, a queue and a batch each
stop at a number in this file.  The numbers are chosen so that the largest reachable ledger entry
stays under :data:`ENTRY_BYTES_REACHABLE_MAX` (``ledger/FORMAT.md``, "Limits"); a test builds the
maximal inputs and measures them.  This module knows nothing but integers.
"""

from typing import Final

MICRO: Final = 1_000_000
"""One unit of any exact quantity (trust, reliability, cpu ...) in micro-units."""

ID_LENGTH_MAX: Final = 128
"""Characters in an identifier: ``[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}``."""

TEXT_LENGTH_MAX: Final = 512
"""Characters in a free text (a reason, a description)."""

LABEL_LENGTH_MAX: Final = 256
"""Characters in a label's value."""

NAME_LENGTH_MAX: Final = 64
"""Characters in the name of a resource dimension, a label or an attribute."""

CAPABILITIES_MAX: Final = 64
"""Capabilities a member offers, or a packet requires."""

ATTRIBUTES_MAX: Final = 16
"""Attributes of one capability."""

LABELS_MAX: Final = 32
"""Labels on a packet or a member."""

DIMENSIONS_MAX: Final = 16
"""Resource dimensions of a capacity or a demand."""

REGIONS_MAX: Final = 64
"""Regions in a packet's list."""

CLEARANCES_MAX: Final = 64
"""Clearances of a member, or data classes of a packet."""

DETECTORS_MAX: Final = 8
"""Detectors that look through a context."""

PREVIOUS_OWNERS_MAX: Final = 256
"""Owners remembered on a packet; the ledger holds all of them."""

PRIORITY_MAX: Final = 1_000
"""Priorities run from 0 (whenever) to this (first)."""

HANDOFFS_MAX: Final = 1_000
"""The largest ``max_handoffs`` a packet may name."""

PROGRESS_SECONDS_MAX: Final = 604_800
"""The longest that a packet may let its owner go without progress: a week."""

AVOIDED_MAX: Final = 16
"""Members remembered on a packet that gave it back, or stood still with it, since it last made progress."""

WEIGHT_MAX: Final = 1_000
"""The largest weight of a member; 1 is ordinary.  A ring of weight 1,000 has 128,000 virtual nodes."""

QUANTITY_MAX: Final = 999_999_999
"""The largest whole part of a decimal: nine digits, so that every micro count is below 2**53."""

NEAREST_LOSERS_MAX: Final = 8
"""Losing members described inside a decision entry."""

REASONS_PER_LOSER_MAX: Final = 8
"""Reasons kept per losing member inside a decision entry; the verdict table has all."""

REJECTED_RULES_MAX: Final = 32
"""Distinct rules counted inside a decision entry, and again as many shadowed ones; the verdict table has all."""

REASONS_MAX: Final = 32
"""Reasons listed in an entry that is not a decision (a revocation, an evaluation); the verdict table has all."""

ESCALATING_RULES_MAX: Final = 64
"""Escalating rules in one policy set: a review names each of them."""

OBLIGATION_BYTES_MAX: Final = 8_192
"""Bytes of all obligations that one policy set can impose, in the ledger's encoding."""

WORKLOAD_SCHEDULERS_MAX: Final = 32
"""Workload types with a scheduler of their own."""

PRINCIPAL_RIGHTS_MAX: Final = 32
"""Rights of one principal."""

KEYS_MAX: Final = 16
"""Keys in a genesis, or signatures under a rotation."""

PROPOSALS_MAX: Final = 64
"""Policy sets that are proposed and neither binding nor turned down."""

APPROVALS_MAX: Final = 16
"""Approvals of one proposal, and the most that an activation can demand."""

POLICIES_REMEMBERED_MAX: Final = 16
"""Sets that were binding before, and that one can go back to without a file."""

PUBLISHERS_MAX: Final = 32
"""Names of publishers that a ledger ever trusts."""

PUBLISHER_KEYS_MAX: Final = 16
"""Keys that one publisher ever has in a ledger."""

PUBLISHER_VERSIONS_MAX: Final = 256
"""Versions of one publisher's bundles that are remembered as binding once; with a new name a publisher begins anew."""

POLICIES_MAX: Final = 128
"""Policies in one set, the kernel included."""

ACTION_BYTES_MAX: Final = 20_000
"""Bytes of one action in the ledger's encoding.  Its entry holds it, and much of it again as the body."""

REQUEST_BYTES_MAX: Final = 2_097_152
"""Bytes of one request or input file."""

JSON_DEPTH_MAX: Final = 32
"""Nesting of one JSON input."""

NUMBER_LENGTH_MAX: Final = 64
"""Characters of one JSON number."""

CONTEXT_BYTES_MAX: Final = 1_048_576
"""Bytes of one context checkpoint."""

MEMBERS_MAX: Final = 10_000
"""Members registered and not retired."""

OWNED_MAX: Final = 10_000
"""Packets that one heartbeat may name."""

LIVE_PACKETS_MAX: Final = 1_000_000
"""Packets that are neither completed, failed nor cancelled."""

REVIEW_CANDIDATES_MAX: Final = 32
"""Candidates for whom one review holds, where its rules read facts of the member; the others need another one."""

REVIEW_FACTS_MAX: Final = 48
"""Facts of the packet and its last owner for which one review holds; rules that read more cannot be granted."""

LAPSED_SHOWN_MAX: Final = 32
"""Facts that are named when an earlier review has lapsed."""

REVIEWS_PER_PACKET_MAX: Final = 16
"""Reviews remembered on a live packet."""

LEDGER_KEYS_MAX: Final = 1_024
"""Keys that one ledger may ever know: a rotation a week for twenty years."""

QUEUE_MAX: Final = 4_096
"""Commands waiting for the sequencer before new ones are refused."""

BATCH_MAX: Final = 512
"""Commands in one group commit."""

LEASE_SECONDS_MIN: Final = 1
"""The shortest lease of a member, in seconds."""

LEASE_SECONDS_MAX: Final = 86_400
"""The longest lease of a member, in seconds."""

CLOCK_IDLE_MAX: Final = 366 * 86_400 * MICRO
"""Microseconds by which the clock may be ahead of the last entry when a ledger is opened; beyond it is doubted."""

CLOCK_LEAP_MAX: Final = 86_400 * MICRO
"""Microseconds by which the clock may leap ahead and be taken at its word after a steady while; beyond, somebody has
to say that it is right."""

DENIALS_REMEMBERED_MAX: Final = 256
"""Denials that are remembered, so that the same is not recorded again under the same policy set."""

DENIALS_PER_HOUR_MAX: Final = 32
"""Denials at guarding points, registrations that are kept out, and refusals of policy sets and their changes: so many
of one principal are recorded in an hour; beyond, they are refused all the same."""

DEAD_NAMED_MAX: Final = 64
"""Members that one command can name as dead when it ends a halt; a share is for more."""

ENTRY_BYTES_REACHABLE_MAX: Final = 60_000
"""No reachable event is larger than this; the format's own limit is 65,535."""

FOLLOW_UPS_PER_TICK_MAX: Final = 256
"""Level-triggered follow-up commands issued by one tick."""

INTEGER_MAX: Final = 2**53 - 1
"""The largest integer of the ledger's JSON profile."""

LONG_THREADS: Final = 2
"""Exports and audits of a ledger being written at once, of one principal one at a time; more wait for their turn, and
nobody else for them."""

READING_THREADS: Final = 4
"""Lists of a ledger being read at once, of one principal one at a time."""

PROMPT_THREADS: Final = 4
"""Short reads of a ledger at once, where it is in a database: each waits for that, and nobody of another ledger."""

ASKING_THREADS: Final = 2
"""Questions about many members or packets at once, in one ledger, and of one principal one at a time."""

HEARING_THREADS: Final = 4
"""Heartbeats of a ledger at once that wait for the exclusive section; whatever else does has others."""

LOOKING_THREADS: Final = 2
"""Contexts being looked through for personal data at once, beside the event loop; of one principal one at a time."""

CLOCK_THREADS: Final = 2
"""For the clock, and for whoever asks how the engine fares, each of which asks once at a time."""

SECTION_THREADS: Final = 16
"""Questions that wait for the exclusive section at once; while it does not come, more are told so."""

SCANNED_MAX: Final = 10_000
"""Entries that one question looks at where no index helps; the page that it answers then says where to go on."""

AUDITED_MAX: Final = 2_000
"""Entries of a packet, and of each member that had it, that an audit of the packet reads."""
