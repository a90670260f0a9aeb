"""Agent frameworks over a governed packet: who may take it is asked of policy, who has it is what the ledger says.

Each module is thin and needs its framework, which is imported when it is used: :mod:`~pfgov.adapters.openai_agents`
(extra ``openai-agents``), :mod:`~pfgov.adapters.langgraph` (extra ``langgraph``), :mod:`~pfgov.adapters.mcp` (extra
``mcp``) and :mod:`~pfgov.adapters.a2a` (extra ``a2a``).  What they share is :mod:`~pfgov.adapters.governed`, which
knows no framework and can be used without one.
"""
