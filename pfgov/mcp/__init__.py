"""pfgov as a server of the Model Context Protocol: what an agent may ask of a governed ledger, as tools.

Every call goes over HTTP to a pfgov server with the key of who calls, so that policy and rights are asked there; this
package holds no authority of its own and keeps no state.  It needs the extra ``mcp``, which is imported when it serves.

* :mod:`~pfgov.mcp.tools` - which tools there are: names, descriptions, schemas.  Data.
* :mod:`~pfgov.mcp.calling` - what each tool asks of the server, and what it answers.
* :mod:`~pfgov.mcp.serving` - the protocol, over stdio and streamable HTTP.
* :mod:`~pfgov.mcp.listening` - the connections of callers over HTTP, and an end to patience with them.
"""
