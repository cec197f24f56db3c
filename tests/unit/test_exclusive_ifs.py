"""Two steps of one id are no finding where their conditions exclude each other."""

from __future__ import annotations

import pytest

from portal_actions_plugin.software_templates.checking.exclusive_ifs import exclude_each_other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("${{ parameters.host === 'GitHub' }}", '${{ parameters.host == "GitLab" }}'),
        ("${{ parameters.host == 'a' }}", "${{ parameters.host !== 'a' }}"),
        ("${{ parameters.public }}", "${{ not parameters.public }}"),
        (
            "${{ parameters['the-host'] == 'a' and parameters.x }}",
            "${{ parameters.y and parameters['the-host'] == 'b' }}",
        ),
    ],
)
def test_opposite_conditions_exclude_each_other(one: str, other: str) -> None:
    assert exclude_each_other(one, other)
    assert exclude_each_other(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, "${{ parameters.host == 'a' }}"),
        (True, False),
        ("${{ parameters.host == 'a' }}", "${{ parameters.host == 'a' }}"),
        ("${{ parameters.host == 'a' }}", "${{ parameters.forge == 'b' }}"),
        ("${{ parameters.host != 'a' }}", "${{ parameters.host != 'b' }}"),
        ("${{ parameters.host == 'a' or parameters.x }}", "${{ parameters.host == 'b' }}"),
        ("${{ parameters.host == 'a' and 1 if parameters.y else 2 }}", "${{ parameters.host == 'b' }}"),
        ("${{ parameters.host == 'a' }}${{ parameters.x }}", "${{ parameters.host == 'b' }}"),
        ("${{ not parameters.host == 'a' }}", "${{ parameters.host == 'b' }}"),
        ("${{ (parameters.host == 'a' and parameters.x) | length }}", "${{ parameters.host == 'b' }}"),
        ("${{ " + "a and " * 500 + "parameters.host == 'a' }}", "${{ parameters.host == 'b' }}"),
    ],
)
def test_no_other_conditions_are_said_to_exclude_each_other(one: object, other: object) -> None:
    assert not exclude_each_other(one, other)  # type: ignore[arg-type]
