"""Which keys sign.  How they are changed is a ceremony (:mod:`pfgov.engine.maintenance.ceremony`)."""

from pfgov.engine.keys.signing import (
    ROTATING,
    KeySources,
    Role,
    adopt,
    ledger_keys,
    renew_anchor,
    write_anchor,
)

__all__ = ["ROTATING", "KeySources", "Role", "adopt", "ledger_keys", "renew_anchor", "write_anchor"]
