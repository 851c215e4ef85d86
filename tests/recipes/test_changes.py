"""Changes of what varies."""

import pytest

from pdfkit.errors import ParameterError
from pdfkit.recipes.changes import changed

NAMES = ("zb.scale", "zb.a", "zb.Cd.Uiso", "zb.S.Uiso", "wz.scale", "wz.a", "wz.c", "wz.S.Uiso", "zb.delta2")
FREE = ("scale", "a", "Uiso")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["+c"], (*FREE, "c")),
        (["+c,+delta2"], (*FREE, "c", "delta2")),
        (["+a"], FREE),
        (["-a"], ("scale", "Uiso")),
        (["-a", "+c"], ("scale", "Uiso", "c")),
        (["-wz.a"], ("scale", "zb.a", "Uiso")),
        (["-zb.Cd.Uiso, -zb.a"], ("scale", "wz.a", "zb.S.Uiso", "wz.S.Uiso")),
        (["-S.Uiso"], ("scale", "a", "zb.Cd.Uiso")),
        (["-wz.*"], ("zb.scale", "zb.a", "zb.Cd.Uiso", "zb.S.Uiso")),
        (["scale,c"], ("scale", "c")),
    ],
)
def test_changes(words, expected):
    assert changed(FREE, words, NAMES) == expected


def test_without_names_patterns_are_words():
    assert changed(FREE, ["+c", "-Uiso"]) == ("scale", "a", "c")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+c", "a"], "either a list"),
        (["-c"], "does not vary"),
        (["+x"], "no parameter is called"),
        (["-a,-scale,-Uiso"], "nothing is left"),
        (["+"], "names no parameter"),
    ],
)
def test_refusals(words, message):
    with pytest.raises(ParameterError, match=message):
        changed(FREE, words, NAMES)
