"""The words for what a protected branch asks for, and what has become of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class People:
    """Those whom a rule of a branch names, by their short names at the forge."""

    users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Protection:
    """What a protected branch asks for before a merge.

    Attributes:
        required_reviews: how many people have to approve; 0 for none.
        required_checks: the names of the checks that must have passed.
        code_owners: whether an owner of the changed code has to be among those who approve.
        by_pull_only: whether nobody may push past a pull request, also where nobody has to approve it.
        for_admins: whether it counts for administrators as well.
        up_to_date: whether a branch has to have what is in this one before it is merged.
        dismisses_stale: whether a new push takes approvals away.
        by_others: whether somebody else than who pushed last has to approve.
        conversations: whether every conversation has to be resolved.
        linear: whether there may be no merge commits.
        signed: whether commits have to be signed.
        no_creation: whether nobody else may make a branch that this rule counts for.
        may_bypass: who need no pull request.
        may_push: the only ones who may push; None for all who may write.
    """

    required_reviews: int = 1
    required_checks: tuple[str, ...] = ()
    code_owners: bool = False
    by_pull_only: bool = False
    for_admins: bool = False
    up_to_date: bool = False
    dismisses_stale: bool = False
    by_others: bool = False
    conversations: bool = False
    linear: bool = False
    signed: bool = False
    no_creation: bool = False
    may_bypass: People = People()
    may_push: People | None = None


@dataclass(frozen=True, slots=True)
class Protected:
    """What has become of a protection.

    Attributes:
        changed: whether the branch was protected otherwise before.
        cannot: a sentence for each part that this forge or its plan does not have.
    """

    changed: bool
    cannot: tuple[str, ...] = ()
