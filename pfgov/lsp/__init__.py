"""Policy files in editors, over the Language Server Protocol: ``pfgov policy lsp`` (the extra ``lsp``).

Nothing here knows policies: what is shown is :mod:`pfgov.policy.authoring.editing`'s.
"""
