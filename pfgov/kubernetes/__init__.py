"""Kubernetes: a cluster's pods are judged before they run, and its nodes are members.

A door like the command line and the API: it speaks to a pfgov server through :mod:`pfgov.client` and to a cluster
through :mod:`pfgov.kubernetes.api`, and has no rule of its own about who may own what.  ``deciding`` is pure: what is
seen of both sides becomes actions, by tables.  ``controller`` looks, asks it, and does what it says; it keeps nothing
that it could not see again, so it can be killed at any point.
"""
