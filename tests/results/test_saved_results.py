"""What is saved comes back: the same numbers, models that give the same curve, and clear refusals of anything else."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_fits import ALL, model, several, single, two_phases

import pdfkit as pk
from pdfkit.errors import ReadError, WriteError
from pdfkit.fitting.least_squares import refit
from pdfkit.io import hdf5
from pdfkit.model import serial
from pdfkit.shapes import SHAPES

R = np.arange(1.5, 12.0, 0.05)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("saved")
    return {name: make().save(folder / f"{name}.h5") for name, make in ALL.items()}


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_result_comes_back(saved, name):
    before, after = ALL[name](), pk.load_result(saved[name])
    assert after.to_dict() == before.to_dict()
    assert after.free == before.free
    assert after.at_bounds == before.at_bounds
    np.testing.assert_array_equal(after.values, before.values)
    np.testing.assert_array_equal(after.covariance, before.covariance)
    assert str(after) == str(before)


@pytest.mark.parametrize("name", ALL)
def test_parameters_come_back_as_they_were(saved, name):
    before, after = ALL[name]().params, pk.load_result(saved[name]).params
    assert list(after) == list(before)
    for key, par in before.items():
        other = after[key]
        assert (other.value, other.stderr, other.min, other.max) == (par.value, par.stderr, par.min, par.max)
        assert (other.vary, other.expr, other.user_data) == (par.vary, par.expr, par.user_data)
        assert other.init_value == par.init_value
        assert (other.correl or {}) == pytest.approx(par.correl or {}, rel=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_data_sets_come_back_in_their_order_with_models_that_work(saved, name):
    before, after = ALL[name]().datasets, pk.load_result(saved[name]).datasets
    assert [one.name for one in after] == [one.name for one in before]
    for old, new in zip(before, after, strict=True):
        assert new.model.names == old.model.names
        np.testing.assert_array_equal(new.model.values, old.model.values)
        assert new.model.instrument == old.model.instrument
        for mine, theirs in ((new.data, old.data), (new.calc, old.calc)):
            np.testing.assert_array_equal(mine.r, theirs.r)
            np.testing.assert_array_equal(mine.G, theirs.G)
        assert (new.data.dG is None) == (old.data.dG is None)
        if old.data.dG is not None:
            np.testing.assert_array_equal(new.data.dG, old.data.dG)
        assert dict(new.data.header) == dict(old.data.header)
        for what in ("name", "composition", "temperature", "instrument"):
            assert getattr(new.data, what) == getattr(old.data, what)
        assert new.messages == old.messages
        # The model is the same to the last bit, and so is what it computes.
        np.testing.assert_array_equal(new.model(new.data.r).G, old.model(old.data.r).G)
        np.testing.assert_allclose(new.model(new.data.r).G, new.calc.G, rtol=0, atol=1e-12)


def test_a_loaded_result_can_be_refined_on_and_saved_again(saved, tmp_path):
    result = pk.load_result(saved["two_phases"])
    again = pk.fit(result.model, result.data, params=result.params)
    # It starts where it ended: nothing is left to gain, but the spectrum of the noise is estimated anew, to a tenth of
    # its own error.
    assert again.rw == pytest.approx(result.rw, rel=1e-4)
    error = np.sqrt(np.diag(result.covariance))
    known = np.isfinite(error)
    assert (np.abs(again.values - result.values)[known] < 0.05 * error[known]).all()
    result.save(tmp_path / "copy.h5")
    assert pk.load_result(tmp_path / "copy.h5").to_dict() == result.to_dict()


def test_a_file_of_before_is_read_with_the_weights_of_before(tmp_path):
    before = single(noise="given")
    path = before.save(tmp_path / "old.h5")
    with h5py.File(path, "r+") as file:  # what files had no word for
        for name in ("minimum", "use_errors"):
            del file[f"entry/fit/{name}"]
    result = pk.load_result(path)
    assert (result.errors_from, result.datasets[0].noise, result.problem.settings.noise) == ("dG", None, "given")
    assert result.problem.use_errors
    assert result.minimum == pytest.approx(before.minimum)
    again = refit(result, result.params)
    np.testing.assert_allclose(again.values, before.values, rtol=1e-6)
    np.testing.assert_allclose(again.covariance, before.covariance, rtol=1e-4, atol=1e-12)


def every_model() -> list[pk.Model]:
    """Return models that between them use every shape, convention, probe, window and kind of displacement."""
    wide = {
        "tabulated": pk.shapes.Tabulated(np.linspace(0, 40, 50), np.linspace(1, 0, 50) ** 2, 1.1),
        "bulk": pk.shapes.Bulk(),
    }
    shapes = [
        wide.get(kind) or cls(**{p.name: (1.3 if p.high < 20 or "ratio" in p.name else 21.7) for p in cls.parameters})
        for kind, cls in SHAPES.items()
    ]
    instruments = [
        (pk.Instrument(probe="X", qmin=0.8, qmax=18.0, qdamp=0.03, window="lorch", scattering="q-dependent"), "pdfkit"),
        (pk.Instrument(probe="N", qmax=math.inf), "pdfkit"),
        (pk.Instrument(probe="X", qmax=20.0), "pdffit2"),
        (pk.Instrument(probe="X", qmax=20.0, window="none"), "diffpy-cmi"),
    ]
    out = []
    for k, shape in enumerate(shapes):
        instrument, convention = instruments[k % len(instruments)]
        name = "CdS_wurtzite" if k % 2 else "CdS_zincblende"
        options = {"shape": shape, "anisotropic": bool(k % 2), "delta1": 0.1, "delta2": 1.0, "sratio": 0.9, "rcut": 3.0}
        phase = pk.Crystal.from_file(name, name="zb", **options)
        phase = phase.with_values({"a": phase.quantities[1].value * 1.0123456789, "Cd.occ": 0.9876543210123})
        strengths = {"Cd": 4.87} if instrument.probe == "N" else None
        out.append(pk.Model([phase], instrument, convention, strengths))
    return out


@pytest.mark.parametrize("before", every_model(), ids=lambda m: f"{m.phases[0].shape.kind}-{m.instrument.probe}")
def test_every_kind_of_model_survives_plain_text(before):
    text = serial.dumps(before)
    json.loads(text, parse_constant=pytest.fail)  # strict JSON: no NaN, no Infinity
    after = serial.loads(text)
    assert after.names == before.names
    np.testing.assert_array_equal(after.values, before.values)
    assert after.instrument == before.instrument
    assert after.convention == before.convention
    assert dict(after.strengths) == dict(before.strengths)
    np.testing.assert_array_equal(after(R).G, before(R).G)
    assert serial.dumps(after) == text
    older = text.replace('"scattering": ', '"weights": ')  # its name of before
    assert serial.loads(older).instrument == before.instrument


@given(value=st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
                          lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_plain_values_survive_plain_text(value):
    assert repr(serial.loads(serial.dumps(value))) == repr(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "does not hold a model"),
        ('{"type": "os.system", "command": "true"}', "not known"),
        ('{"type": "sphere", "spdiameter": 30, "colour": 1}', "unknown key 'colour'"),
        ('{"type": "sphere"}', "does not hold a model"),
        ('{"type": "sphere", "spdiameter": -1}', "outside"),
        ('{"type": "array"}', "does not hold a model"),
        ('{"type": "mapping", "items": 3}', "does not hold a model"),
        ('{"type": "number", "value": "twelve"}', "does not hold a model"),
        ("[" * 100_000, "does not hold a model"),
    ],
)
def test_plain_text_of_something_else_is_refused(text, message):
    with pytest.raises(pk.PdfkitError, match=message):
        serial.loads(text)


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(pk.PdfkitError, match="Path cannot be saved as text"):
        serial.dumps(Path("x"))


# --- NeXus -----------------------------------------------------------------------------------------------------------


def text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize("name", ALL)
def test_defaults_lead_to_data_with_errors(saved, name):
    first = ALL[name]().datasets[0]
    with h5py.File(saved[name]) as file:
        node = file
        while "default" in node.attrs:
            node = node[text(node.attrs["default"])]
        assert text(node.attrs["NX_class"]) == "NXdata"
        signal, axes = text(node.attrs["signal"]), [text(axis) for axis in node.attrs["axes"]]
        assert (signal, axes) == ("observed", ["r"])
        np.testing.assert_array_equal(node[signal][()], first.data.G)
        np.testing.assert_array_equal(node["r"][()], first.data.r)
        assert (f"{signal}_errors" in node) == (first.data.dG is not None)
        assert [text(one) for one in node.attrs["auxiliary_signals"]] == ["calculated", "difference"]
        np.testing.assert_array_equal(node["difference"][()], first.difference)
        assert text(node["r"].attrs["units"]) == "angstrom"


@pytest.mark.parametrize("name", ALL)
def test_every_group_is_of_a_nexus_class_and_every_nxdata_is_whole(saved, name):
    seen = []

    def visit(_: str, node: object) -> None:
        if isinstance(node, h5py.Group):
            kind = text(node.attrs["NX_class"])
            seen.append(kind)
            assert kind.startswith("NX")
            if kind == "NXdata":
                size = node[text(node.attrs["signal"])].shape[0]
                for axis in node.attrs.get("axes", []):
                    assert node[text(axis)].shape == (size,)
                for other in node.attrs.get("auxiliary_signals", []):
                    assert node[text(other)].shape == (size,)

    with h5py.File(saved[name]) as file:
        file.visititems(visit)
    # data, phases, partials, spectrum of the noise per data set, and two matrices.
    assert seen.count("NXdata") == 4 * len(ALL[name]().datasets) + 2
    assert seen.count("NXentry") == 1


def test_shares_in_the_file_add_up_to_the_fit(saved):
    result = two_phases()
    with h5py.File(saved["two_phases"]) as file:
        entry = file["entry"]
        pairs = {key: node[()] for key, node in entry["partials"].items() if key not in ("r", "title")}
        assert sorted(pairs) == [f"{p}.{pair}" for p in ("wz", "zb") for pair in ("Cd.Cd", "Cd.S", "S.S")]
        # Sums of six curves of order 10.
        np.testing.assert_allclose(sum(pairs.values()), result.calc.G, rtol=0, atol=1e-11)
        phases = entry["phases/zb"][()] + entry["phases/wz"][()]
        np.testing.assert_allclose(phases, result.calc.G, rtol=0, atol=1e-11)
        np.testing.assert_array_equal(entry["covariance/covariance"][()], result.covariance)
        np.testing.assert_array_equal(entry["correlation/correlation"][()], result.correlation)


def test_recipe_inputs_versions_and_structures_are_kept(tmp_path):
    digest = hashlib.sha256(b"data").hexdigest()
    recipe = "# Größe\n[fit]\nrmin = 1.8\n"
    path = single().save(tmp_path / "fit.h5", recipe=recipe, digests={"cds.gr": digest})
    with h5py.File(path) as file:
        entry = file["entry"]
        assert entry["recipe/data"].asstr()[()] == recipe
        assert list(entry["inputs/name"].asstr()) == ["cds.gr"]
        assert list(entry["inputs/sha256"].asstr()) == [digest]
        assert entry["versions/numpy"].asstr()[()] == np.__version__
        assert set(entry["versions"]) >= {"pdfkit", "python", "numpy", "scipy"}
        cif = entry["model/cif_zb/data"].asstr()[()]
    (tmp_path / "zb.cif").write_text(cif, encoding="utf-8")
    structure = pk.read_structure(tmp_path / "zb.cif")
    assert structure.cell == single().model.phases[0].structure.cell
    assert len(pk.load_result(path).free) == 4


def test_phases_may_have_the_name_of_a_curve(tmp_path):
    result = single()
    awkward = pk.Model([replace(result.model.phases[0], name="r")], result.model.instrument)
    named = replace(result, datasets=(replace(result.datasets[0], model=awkward),))
    with h5py.File(named.save(tmp_path / "fit.h5")) as file:
        np.testing.assert_array_equal(file["entry/phases/r"][()], result.data.r)
    (path,) = named.write_columns(tmp_path / "fit.dat")
    names, values, _ = pk.io.read_columns(path)
    np.testing.assert_array_equal(values[:, names.index("r")], result.data.r)


# --- damage ----------------------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        pk.load_result(path)
    return str(caught.value)


def test_files_that_are_no_results_are_refused(tmp_path):
    assert "no such file" in refused(tmp_path / "none.h5")
    assert "folder" in refused(tmp_path)
    (tmp_path / "empty.h5").write_bytes(b"")
    assert "not an HDF5 file" in refused(tmp_path / "empty.h5")
    (tmp_path / "text.h5").write_text("r G\n1 2\n")
    assert "not an HDF5 file" in refused(tmp_path / "text.h5")
    (tmp_path / "start.h5").write_bytes(hdf5.SIGNATURE)
    assert "damaged" in refused(tmp_path / "start.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["entry/data/observed"] = [1.0, 2.0]
    assert "not a fit result" in refused(tmp_path / "foreign.h5")
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["x"] = 1.0
    assert "missing" in refused(tmp_path / "bare.h5")


def test_a_newer_format_asks_for_a_newer_program(saved, tmp_path):
    path = tmp_path / "new.h5"
    path.write_bytes(saved["single"].read_bytes())
    with h5py.File(path, "a") as file:
        file["entry"].attrs["format_version"] = 99
    assert "newer pdfkit" in refused(path)


@pytest.mark.parametrize("part", [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_truncated_files_are_refused(saved, tmp_path, part):
    raw = saved["single"].read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(raw[: int(part * len(raw))])
    assert str(path) in refused(path)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_flipped_bytes_are_refused_or_harmless(saved, tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    raw = bytearray(saved["single"].read_bytes())
    for at in rng.integers(8, len(raw), 12):
        raw[at] ^= int(rng.integers(1, 256))
    path = tmp_path_factory.getbasetemp() / "flipped.h5"
    path.write_bytes(raw)
    try:
        result = pk.load_result(path)
    except ReadError:
        return
    # Curves carry checksums: what loads has them whole.
    np.testing.assert_array_equal(result.data.G, single().data.G)
    np.testing.assert_array_equal(result.calc.G, single().calc.G)


@pytest.mark.parametrize("size", [0, 2**64 - 1])
def test_a_heap_without_an_end_is_refused(saved, tmp_path, size):
    """On a free space of no size the HDF5 library walks on and on."""
    raw = bytearray(saved["single"].read_bytes())
    here = raw.index(b"GCOL") + 16
    while any(raw[here : here + 2]):
        here += 16 + (int.from_bytes(raw[here + 8 : here + 16], "little") + 7) // 8 * 8
    raw[here + 8 : here + 16] = size.to_bytes(8, "little")
    path = tmp_path / "endless.h5"
    path.write_bytes(raw)
    assert "has no end" in refused(path)


PLACES = (
    "entry/data/observed", "entry/data/r", "entry/model/json", "entry/model/data_about", "entry/parameters/value",
    "entry/parameters/expression", "entry/covariance/names", "entry/fit/rw", "entry/fit/message",
    "entry/fractions/phase", "entry/parameters", "entry/model", "entry/fit",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_missing_parts_are_named(saved, tmp_path, place):
    path = tmp_path / "part.h5"
    path.write_bytes(saved["single"].read_bytes())
    with h5py.File(path, "a") as file:
        del file[place]
    assert place.rsplit("/", 1)[1] in refused(path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("entry/data/observed", [1.0, 2.0]),
        ("entry/data/observed", "text"),
        ("entry/data/r", np.zeros(256)),
        ("entry/covariance/covariance", np.eye(2)),
        ("entry/covariance/names", ["zb.a", "no.such", "a", "b"]),
        ("entry/parameters/value", [1.0]),
        ("entry/parameters/expression", ["__import__('os').system('true')"] * 13),
        ("entry/parameters/name", ["zb.a; import os"] * 13),
        ("entry/model/json", '{"type": "sphere", "spdiameter": 3.0}'),
        ("entry/model/json", "cos\nsystem\n(S'true'\ntR."),
        ("entry/model/data_about", "[]"),
        ("entry/fit/rw", "good"),
    ],
)
def test_parts_of_another_kind_are_refused(saved, tmp_path, place, value):
    path = tmp_path / "part.h5"
    path.write_bytes(saved["single"].read_bytes())
    with h5py.File(path, "a") as file:
        del file[place]
        file[place] = value
    assert str(path) in refused(path)


def test_links_out_of_the_file_are_not_followed(saved, tmp_path):
    path = tmp_path / "linked.h5"
    path.write_bytes(saved["single"].read_bytes())
    with h5py.File(path, "a") as file:
        del file["entry/data"]
        file["entry/data"] = h5py.ExternalLink(str(saved["single"]), "/entry/data")
    assert "data" in refused(path)
    with h5py.File(path, "a") as file:
        del file["entry/data"]
        file["entry/data"] = file["entry"]  # a circle
    assert "nested" in refused(path)


def test_other_things_in_the_file_do_no_harm(saved, tmp_path):
    path = tmp_path / "more.h5"
    path.write_bytes(saved["single"].read_bytes())
    with h5py.File(path, "a") as file:
        file["entry/notes"] = "seen by a user"
        file["entry/empty"] = h5py.Empty("f8")
        file["entry/table"] = np.zeros(3, dtype=[("a", "f8"), ("b", "i4")])
        file["entry/reference"] = file["entry/data"].ref
        file["entry"].attrs["reference"] = file["entry/data"].ref
    assert pk.load_result(path).to_dict() == single().to_dict()


class Exploit:
    """Makes the file `mark` wherever a pickle of it is read."""

    mark = Path()

    def __reduce__(self):
        return Path.touch, (self.mark,)


def swap(file, place: str, make) -> None:
    """Put what `make` makes in the place of a member, or beside the others where there is none."""
    if place in file:
        del file[place]
    make(file, place)


def external(file, place: str) -> None:
    other = Path(file.filename).with_name("other.bin")
    file.create_dataset(place, (10,), "f8", external=[(str(other), 0, 80)])


def virtual(file, place: str) -> None:
    layout = h5py.VirtualLayout((10,), "f8")
    layout[:] = h5py.VirtualSource(str(Path(file.filename).with_name("other.h5")), "r", (10,))
    file.create_virtual_dataset(place, layout)


def region(file, place: str) -> None:
    file["entry/region"] = np.arange(4.0)
    file.create_dataset(place, data=file["entry/region"].regionref[1:3], dtype=h5py.regionref_dtype)


def bytes_of_any_length(file, place: str) -> None:
    made = file.create_dataset(place, (2,), h5py.vlen_dtype("u1"))
    made[0] = made[1] = np.frombuffer(pickle.dumps(Exploit()), "u1")


def attribute(file, place: str) -> None:
    group = file.require_group(place)
    group.attrs["messages"] = group.attrs["default"] = np.void(pickle.dumps(Exploit()))
    group.attrs.create("name", np.array([pickle.dumps(Exploit(), 0).decode()], dtype=object), dtype=h5py.string_dtype())


HARM = {
    "opaque": lambda file, place: file.create_dataset(place, data=np.void(pickle.dumps(Exploit()))),
    "text": lambda file, place: file.create_dataset(place, data=pickle.dumps(Exploit(), 0).decode()),
    "bytes of any length": bytes_of_any_length,
    "attribute": attribute,
    "region": region,
    "reference": lambda file, place: file.create_dataset(place, data=file["entry"].ref, dtype=h5py.ref_dtype),
    "external link": lambda file, place: file.__setitem__(place, h5py.ExternalLink("other.h5", "r")),
    "soft link": lambda file, place: file.__setitem__(place, h5py.SoftLink("/entry/fit")),
    "external storage": external,
    "virtual": virtual,
    "type": lambda file, place: file.__setitem__(place, np.dtype("f8")),
}
PLACES = ("entry/model/json", "entry/data/r", "entry/parameters/value", "entry/fit/message", "entry/nothing")


@pytest.mark.parametrize("kind", HARM)
def test_nothing_in_a_saved_fit_is_executed_or_leads_elsewhere(saved, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(Exploit, "mark", tmp_path / "ran")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["r"] = np.arange(1.0, 11.0)
    (tmp_path / "other.bin").write_bytes(np.arange(1.0, 11.0).tobytes())
    ends = []
    for place in PLACES:
        path = tmp_path / "harm.h5"
        path.write_bytes(saved["single"].read_bytes())
        with h5py.File(path, "a") as file:
            swap(file, place, HARM[kind])
        try:
            assert pk.load_result(path).to_dict() == single().to_dict() or (kind, place) == ("text", PLACES[3])
            ends.append("read")
        except ReadError as error:
            assert len(str(error)) < 500, place  # noqa: PT017 - either is right
            ends.append("refused")
        assert not (tmp_path / "ran").exists(), place
    assert ends == ["refused"] * 3 + ["read" if kind == "text" else "refused", "read"]
    pickle.loads(pickle.dumps(Exploit()))
    assert (tmp_path / "ran").exists(), "the exploit does nothing: this test shows nothing"


def test_a_file_that_claims_to_be_huge_is_refused_before_it_fills_the_memory(saved, tmp_path):
    path = tmp_path / "huge.h5"
    path.write_bytes(saved["single"].read_bytes())
    with h5py.File(path, "a") as file:
        file.create_dataset("entry/huge", shape=(10**12,), dtype="f8", chunks=(1024,))
    assert "elements" in refused(path)


# --- places that take no file ----------------------------------------------------------------------------------------


def test_unwritable_places_are_named(tmp_path):
    with pytest.raises(WriteError, match="does not exist"):
        single().save(tmp_path / "no" / "fit.h5")
    with pytest.raises(WriteError, match="folder"):
        single().save(tmp_path)
    with pytest.raises(WriteError, match="cannot be written"):
        single().save("bad\0name.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = single().save(tmp_path / "fit.h5")
    path.chmod(0o640)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(WriteError, match="No space left"):
            single().save(path)
    with pytest.raises(WriteError, match="it holds what HDF5 cannot store"):
        single().save(path, recipe="zero \0 byte")
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["fit.h5"]
    several().save(path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(pk.load_result(path).datasets) == 2


# --- columns ---------------------------------------------------------------------------------------------------------


def test_columns_hold_every_curve_and_say_what_was_fitted(tmp_path):
    result = two_phases()
    (path,) = result.write_columns(tmp_path / "fit.dat")
    names, values, header = pk.io.read_columns(path)
    table = dict(zip(names, values.T, strict=True))
    pairs = [f"{p}:{pair}" for p in ("zb", "wz") for pair in ("Cd-Cd", "Cd-S", "S-S")]
    assert list(names) == ["r", "Gobs", "Gcalc", "Gdiff", "zb", "wz", *pairs]
    for name, curve in (("r", result.data.r), ("Gobs", result.data.G), ("Gcalc", result.calc.G)):
        np.testing.assert_array_equal(table[name], curve)
    np.testing.assert_array_equal(table["Gdiff"], result.data.G - result.calc.G)
    np.testing.assert_allclose(table["zb"] + table["wz"], result.calc.G, rtol=0, atol=1e-11)
    np.testing.assert_allclose(sum(table[pair] for pair in pairs), result.calc.G, rtol=0, atol=1e-11)
    assert float(header["rw"]) == pytest.approx(result.rw, rel=1e-5)
    assert header["date"][:2] == "20"
    for name, par in result.params.items():
        assert float(header[name].split()[0].rstrip(",")) == par.value
    assert "tied to zb.Cd.Uiso" in header["wz.Cd.Uiso"]
    assert "wz.a ended on its lower bound" in path.read_text(encoding="utf-8")


def test_columns_with_errors_are_read_as_a_pdf_too(tmp_path):
    result = single()
    (path,) = result.write_columns(tmp_path / "fit.dat")
    names, values, _ = pk.io.read_columns(path)
    np.testing.assert_array_equal(values[:, names.index("dG")], result.data.dG)
    again = pk.read_pdf(path)
    np.testing.assert_array_equal(again.G, result.data.G)
    assert again.instrument == result.model.instrument


def test_columns_of_several_data_sets_are_several_files(tmp_path):
    result = several()
    paths = result.write_columns(tmp_path / "fit.dat")
    assert [path.name for path in paths] == ["fit_warm.dat", "fit_cold.dat"]
    for path, one in zip(paths, result.datasets, strict=True):
        names, values, header = pk.io.read_columns(path)
        np.testing.assert_array_equal(values[:, names.index("Gcalc")], one.calc.G)
        assert float(header["qdamp"]) == one.model.instrument.qdamp
        assert f"{one.name}.zb.scale" in header


def test_columns_of_an_uncut_model_are_readable(tmp_path):
    source = model().with_instrument(pk.Instrument(probe="X", qmax=math.inf))
    G = source(R).G
    result = pk.fit(source, pk.PDF(R, 1.01 * G, instrument=source.instrument), free=["scale"])
    (path,) = result.write_columns(tmp_path / "fit.dat")
    np.testing.assert_array_equal(pk.read_pdf(path).G, 1.01 * G)
    assert pk.load_result(result.save(tmp_path / "fit.h5")).model.instrument.qmax == math.inf


def test_unwritable_columns_are_named(tmp_path):
    with pytest.raises(WriteError, match="does not exist"):
        single().write_columns(tmp_path / "no" / "fit.dat")
