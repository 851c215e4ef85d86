"""Changes of what varies."""

import pytest

from pdfkit.errors import ParameterError
from pdfkit.recipes.changes import changed, retied, tie_of, untied

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


# --- ties ------------------------------------------------------------------------------------------------------------

TIES = {"wz.a": "0.7071*zb.a", "wz.S.Uiso": "zb.S.Uiso"}


def test_a_tie_is_a_sentence():
    assert tie_of("wz.a = zb.a / sqrt(2)") == ("wz.a", "zb.a / sqrt(2)")


@pytest.mark.parametrize("word", ["wz.a", "wz.a =", "= zb.a", "a == b", ""])
def test_what_is_no_tie_is_refused(word):
    with pytest.raises(ParameterError, match="is no tie: write NAME = EXPRESSION"):
        tie_of(word)


@pytest.mark.parametrize(
    ("words", "left"),
    [(["+wz.S.Uiso"], ["wz.a"]), (["+wz.S.Uiso,+c", "+wz.a"], []), (["+Uiso"], list(TIES)), (["-wz.a"], list(TIES))],
)
def test_what_is_freed_by_name_loses_its_tie(words, left):
    assert list(untied(TIES, words, NAMES)) == left


def test_a_new_tie_takes_the_place_of_others():
    free, ties = retied(("scale", "a", "Uiso"), TIES, {"wz.Uiso": "2*zb.S.Uiso"}, NAMES)
    assert ties == {"wz.a": TIES["wz.a"], "wz.Uiso": "2*zb.S.Uiso"}
    assert free == ("scale", "a", "Uiso")


def test_a_tie_the_other_way_round_leaves_one_of_them_free():
    free, ties = retied(("zb.a", "Uiso"), TIES, {"zb.a": "1.4142*wz.a"}, NAMES)
    assert ties == {"wz.S.Uiso": "zb.S.Uiso", "zb.a": "1.4142*wz.a"}
    assert free == ("zb.a", "Uiso", "wz.a")
