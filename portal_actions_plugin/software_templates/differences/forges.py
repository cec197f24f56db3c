"""What actions on forges and the catalog do otherwise than at home in both readings."""

from __future__ import annotations

from typing import Final

from portal_actions_plugin.software_templates.differences.difference import Difference, Kind

OF_FORGES: Final = (
    Difference(
        name="authors-of-commits",
        written="a commit without `gitAuthorName`",
        at_home="is by `Scaffolder`, or by who the settings name",
        backstage="is by the requester",
        ours="",
        why="The history says who asked for it.",
        examples=("action: publish:github",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="repositories-of-others",
        written="`publish:…` or `github:repo:push` where a repository, or its branch, is there already",
        at_home="the forge refuses it, or it is written into",
        backstage="fails with a CONFLICT, unless this run or one that it retries has made it",
        ours="",
        why="Done twice it is done once, and nothing of somebody else is overwritten.",
        examples=("action: publish:github",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="actions-of-commits",
        written="`commitAction: create` or `update` at GitLab",
        at_home="fails when a file is there, or is not",
        backstage="writes what differs, as `auto` does",
        ours="",
        why="A step that is done again after a lost answer must not fail on its own commit.",
        examples=("commitAction: update",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="inputs-of-forges",
        written="`forceFork`, `setUserAsOwner`, `assignReviewersFromApprovalRules`, `autoMerge`, `signCommit`",
        at_home="are done",
        backstage="are left out, with a warning",
        ours="",
        why="No provider of this portal has them.",
        examples=("forceFork: true",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="branches-of-pull-requests",
        written="`publish:github:pull-request` with a `branchName` that is there already",
        at_home="moves the branch to the target with these files on top, and what was there is lost; only an open pull request "
        "without `update` stops it. With `update` its title and description change, too",
        backstage="fails with a CONFLICT; with `update` the files are committed on top of the branch, and the pull request's title "
        "and description stay",
        ours="",
        why="No commit of somebody else is lost, and no text that somebody else has written.",
        examples=("update: true",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="nothing-to-publish",
        written="`publish:…` or `github:repo:push` with a workspace, or a `sourcePath`, without any file",
        at_home="pushes a commit that holds nothing",
        backstage="fails before anything is made; `sourcePath: false` of `publish:gitlab` leaves the project empty, as at home",
        ours="",
        why="Most likely a step before this one wrote somewhere else.",
        examples=("sourcePath: ./nothing",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="variables-that-are-there",
        written="a variable that is there already, in `gitlab:projectVariable:create` or `repoVariables`",
        at_home="the forge refuses it",
        backstage="is set to the new value",
        ours="",
        why="A step that is done again after a lost answer must not fail on its own variable.",
        examples=("action: gitlab:projectVariable:create",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="protections-that-are-there",
        written="`github:branch-protection:create` on a branch that is protected",
        at_home="replaces all of its rules",
        backstage="adds to them: the stricter one counts",
        ours="",
        why="No template takes away what somebody else asked for.",
        examples=("action: github:branch-protection:create",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="tokens-of-requests",
        written="`http:backstage:request` without a header `Authorization`",
        at_home="carries the requester's token",
        backstage="carries none",
        ours="",
        why="The portal keeps nobody's token: give one as a secret.",
        examples=("action: http:backstage:request",),
        kind=Kind.DOCUMENT,
    ),
)
