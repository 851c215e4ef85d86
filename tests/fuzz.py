"""Attack every reader and command with mutants of valid files: `python tests/fuzz.py --count 100000 --seed 1`.

With `--meaning` the files stay well-formed and say something else (`fuzz_meaning.py`).

A case is one changed file, read by what reads its kind, or one command line. What counts as a fault: an exception that
is no `PdfkitError`, more than 5 s of the processor, more than 1 GB, a message of more than 500 characters or without
the file's name, and a file left behind by a command that failed. Cases run in forked processes, so that nothing takes
the tool along.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pickle
import random
import re
import select
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import fuzz_meaning
import numpy as np

import pdfkit as pk
from pdfkit.benchmarking import timing
from pdfkit.io.stru_text import write_stru

SECONDS, GIGABYTES, CHARACTERS = 5.0, 1.0, 500
DEAF = 60.0
BATCH = 40
WORDS = [
    *("0", "-1", "1e308", "1e-308", "-0.0", "nan", "inf", "999999999", "9" * 25, "²", "1,5", "1.0(12)", "?", ".", "*"),
    *(
        "'",
        '"',
        "#",
        "loop_",
        "data_",
        "end",
        "(" * 400,
        "1" * 60_000,
        "=" * 300,
        "\x1b[2J",
        "\ufeff",
        "é",
        "P 1",
        "[[",
    ),
    *("-" * 5000, "x", "Uiso", "Va", "1/0", "9**9**9", "qmax = 1e9", "rmin = -5", "[" * 3000, "true", "{}", "10 10 10"),
]


@dataclass(frozen=True)
class Case:
    """One attack: the readers' name of a kind and the text of its file, or a command line with its file."""

    number: int
    what: str
    name: str
    content: bytes
    arguments: tuple[str, ...] = ()
    beside: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of a case: "" where all was well, else the fault."""

    number: int
    fault: str
    end: str


# --- valid files -----------------------------------------------------------------------------------------------------


def valid_files(folder: Path) -> dict[str, bytes]:
    """Return small valid files by name; the ending says what reads them."""
    r, Q = np.arange(0.5, 6.0, 0.05), np.arange(0.5, 12.0, 0.1)
    crystal = pk.Crystal.from_file("Ni", name="ni")
    model = pk.Model(crystal, pk.Instrument(probe="X", qmax=20.0, qdamp=0.03))
    pdf, structure = model(r), pk.load_structure("CdSe_wurtzite")
    pk.write_pdf(folder / "own.gr", pdf)
    pk.write_cif(folder / "own.cif", structure)
    write_stru(folder / "own.stru", structure)
    pk.io.write_xyz(folder / "own.xyz", pk.build.tetrahedron("CdSe_zincblende", 3))
    pk.fit(model, pdf, free=["scale", "a"], settings=pk.FitSettings(max_nfev=3)).save(folder / "own.h5")
    pk.io.write_columns(folder / "columns.txt", ["r", "G"], [r, pdf.G])
    out = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    rows = "".join(f"{x:.3f} {y:.6f}\n" for x, y in zip(r, pdf.G, strict=True))
    pattern = "".join(f"{q:.3f} {90 + 900 * np.exp(-9 * (q - 3) ** 2) + 9 * np.sin(q):.4f} {1 + q:.3f}\n" for q in Q)
    s_of_q = "".join(f"{q:.3f} {1 + np.sin(2.5 * q) / (2.5 * q):.6f}\n" for q in Q)
    cell = 'Lattice="4.1 0 0 0 4.1 0 0 0 4.1"'
    texts = {
        "x3.gr": "[DEFAULT]\nversion = pdfgetx3-2.0\nstype = X\nwavelength = 0.2\ncomposition = Ni\nqmax = 20\n"
        f"#### start data\n#S 1\n#L r($\\AA$)  G($\\AA^{{-2}}$)\n{rows}",
        "plain.gr": rows,
        "x3.iq": f"[DEFAULT]\nstype = X\ncomposition = Ni\ndataformat = QA\n#### start data\n#L Q(A-1) I dI\n{pattern}",
        "fit2d.chi": f"title\n2-Theta Angle (Degrees)\nIntensity\n      {len(Q)}\n{pattern}",
        "x3.sq": f"[DEFAULT]\nstype = X\ncomposition = Ni\nqmax = 12\n#### start data\n#L Q S\n{s_of_q}",
        "cscl.extxyz": f"2\n{cell} Properties=species:S:1:pos:R:3\nCs 0 0 0\nCl 2.05 2.05 2.05\n",
        "cscl.pdb": "CRYST1    4.100    4.100    4.100  90.00  90.00  90.00 P 1           1\n"
        "ATOM      1 CS   UNK     1       0.000   0.000   0.000  1.00  1.00          CS\n"
        "ATOM      2 CL   UNK     1       2.050   2.050   2.050  1.00  1.00          CL\nEND\n",
        "cscl.rmc6f": "(Version 6f format configuration file)\nMetadata title: CsCl\nNumber of atoms: 2\n"
        "Cell (Ang/deg): 4.1 4.1 4.1 90 90 90\nAtoms:\n1 Cs [1] 0 0 0 1 0 0 0\n2 Cl [1] 0.5 0.5 0.5 1 0 0 0\n",
        "POSCAR": "CsCl\n1.0\n4.1 0 0\n0 4.1 0\n0 0 4.1\nCs Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n",
        "fit.toml": 'title = "Ni"\n[data]\nfile = "x3.gr"\nrmin = 1.0\nrmax = 5.0\nqmax = 20\n[[phase]]\nname = "ni"\n'
        'structure = "Ni"\nstart = {a = 3.52}\n[fit]\nfree = ["scale", "a", "Uiso"]\nbounds = {a = [3.4, 3.6]}\n'
        'ties = {"delta2" = "2*ni.Ni.Uiso"}\n',
    }
    return out | {name: text.encode() for name, text in texts.items()}


def mutant(rng: random.Random, content: bytes, *, binary: bool) -> bytes:
    """Return the content with one to three changes."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        content = _bytes_changed(rng, content) if binary or rng.random() < 0.15 else _text_changed(rng, content)
    return content


def _bytes_changed(rng: random.Random, content: bytes) -> bytes:
    at, size = rng.randrange(len(content) + 1), rng.choice([1, 1, 4, 40, 400])
    match rng.randrange(4):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + content[at + size :]
        case 2:
            return content[:at] + bytes(rng.randrange(256) for _ in range(min(size, 8))) + content[at + size :]
    return content[:at] + content[at : at + size] * rng.choice([2, 3, 50]) + content[at + size :]


def _text_changed(rng: random.Random, content: bytes) -> bytes:
    lines = content.decode("utf-8", "replace").split("\n")
    i = rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            del lines[i]
        case 1:
            lines.insert(i, lines[rng.randrange(len(lines))])
        case 2:
            lines.insert(i, rng.choice(WORDS))
        case 3:
            lines[i] = lines[i][: rng.randrange(len(lines[i]) + 1)]
        case _:
            words = re.split(r"(\s+|[=,:\[\]])", lines[i])
            k = rng.randrange(len(words))
            words[k] = rng.choice([*WORDS, words[k] * 2, words[k] * 3000, f"-{words[k]}", ""])
            lines[i] = "".join(words)
    return "\n".join(lines).encode("utf-8", "replace")


COMMANDS = [
    *(("info", "{}"), ("plot", "{}", "-o", "out.png"), ("partials", "{}", "-o", "out"), ("info", "{}", "--qmax", "?")),
    *(
        ("simulate", "{}", "--rmax", "?", "-o", "out.gr"),
        ("simulate", "{}", "--qmax", "?", "--qdamp", "?", "-o", "o.gr"),
    ),
    *(("simulate", "{}", "--set", "Uiso=?", "-o", "out.gr"), ("simulate", "Ni", "--set", "a=?", "--qmax", "?")),
    *(
        ("simulate", "Ni", "--rstep", "?", "--rmin", "?", "--noise", "?"),
        ("pattern", "{}", "--step", "?", "-o", "o.iq"),
    ),
    *(("simulate", "CdSe_wurtzite", "--qbroad", "?", "--spdiameter", "?"), ("simulate", "Ni", "--shape", "?")),
    *(("reduce", "{}", "-s", "Ni", "--qmax", "?", "-o", "out"), ("pattern", "{}", "--qmax", "?", "--uiso", "?")),
    *(("reduce", "{}", "-s", "?", "-o", "out"), ("recipe", "{}", "-o", "new.toml"), ("fit", "{}", "-o", "out")),
    ("build", "tetrahedron", "CdSe_zincblende", "?"),
]
VALUES = [
    "0",
    "-1",
    "1e9",
    "1e-9",
    "nan",
    "inf",
    "x",
    "25",
    "3.5",
    "0.01",
    "",
    "1e308",
    "CdSe",
    "sphere",
    "-o",
    "²",
    "5",
]


def cases(first: int, count: int, seed: int, files: dict[str, bytes]) -> Iterator[Case]:
    """Yield the attacks: four files to a command."""
    names = sorted(files)
    for number in range(first, first + count):
        rng = random.Random(f"{seed}/{number}")
        name = rng.choice(names)
        content = mutant(rng, files[name], binary=name.endswith(".h5"))
        beside = {"x3.gr": files["x3.gr"]} if name.endswith(".toml") else {}
        if rng.random() < 0.8:
            yield Case(number, "read", name, content, beside=beside)
            continue
        content = rng.choice([content, files[name]])
        words = [rng.choice(VALUES) if w == "?" else w for w in rng.choice(COMMANDS)]
        words = [w.replace("{}", name).replace("?", rng.choice(VALUES)) for w in words]
        yield Case(number, "command", name, content, tuple(words), beside)


def meaning(first: int, count: int, seed: int, files: dict[str, bytes]) -> Iterator[Case]:
    """Yield attacks with files that say something else: two files to a command."""
    names = sorted([*fuzz_meaning.READERS, "rich.toml", "fit.toml", "reduce.cfg", "own.gr", "x3.gr"])
    for number in range(first, first + count):
        rng = random.Random(f"meaning {seed}/{number}")
        name = rng.choice(names)
        content = fuzz_meaning.mutant(rng, name, files[name])
        beside = {other: files[other] for other in ("x3.gr", "x3.iq") if other != name}
        commands = fuzz_meaning.COMMANDS.get(Path(name).suffix, ())
        if commands and name != "ranking.h5" and rng.random() < (1.0 if name.endswith(".cfg") else 0.33):
            words = tuple(word.replace("{}", name) for word in rng.choice(commands))
            yield Case(number, "command", name, content, words, beside)
        else:
            yield Case(number, "read", name, content, beside=beside)


# --- one attack ------------------------------------------------------------------------------------------------------


def _read(name: str) -> None:
    readers: dict[str, tuple[Any, ...]] = {
        ".gr": (pk.read_pdf,),
        ".sq": (pk.read_sq,),
        ".iq": (pk.read_intensity,),
        ".chi": (lambda file: pk.read_intensity(file, wavelength=0.2),),
        ".txt": (pk.io.read_columns,),
        ".toml": (_recipe,),
        ".xyz": (pk.Particle.from_file,),
        ".extxyz": (pk.read_structure, pk.Particle.from_file),
    }
    if name in fuzz_meaning.READERS:
        fuzz_meaning.READERS[name](name)
        return
    for reader in readers.get(Path(name).suffix, (pk.read_structure,)):
        reader(name)


def _recipe(name: str) -> None:
    pk.load_recipe(name).build()


def _command(arguments: tuple[str, ...]) -> None:
    from pdfkit.cli.app import app

    app(list(arguments), standalone_mode=False)


def attack(case: Case) -> Outcome:
    """Run one case in the present folder, which holds nothing else."""
    Path(case.name).write_bytes(case.content)
    for name, content in case.beside.items():
        Path(name).write_bytes(content)
    before = {path.name for path in Path.cwd().iterdir()}
    begin, fault, end = time.process_time(), "", "well"
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore", pk.PdfkitWarning)
            _read(case.name) if case.what == "read" else _command(case.arguments)
    except pk.PdfkitError as error:
        end = "refused"
        if len(str(error)) > CHARACTERS:
            fault = f"message of {len(str(error))} characters: {str(error)[:200]}"
        elif case.what == "read" and case.name not in str(error):
            fault = f"message without the file's name: {error}"
        elif left := {path.name for path in Path.cwd().iterdir()} - before - _told(case):
            fault = f"left behind by a failure: {', '.join(sorted(left))} ({error})"
    except _Late:
        fault = f"longer than {SECONDS:g} s: " + "".join(traceback.format_exc().splitlines(True)[-7:-1])
    except SystemExit:
        end = "exit"
    except BaseException as error:  # a fault is to be told, whatever it is
        import click

        if isinstance(error, click.ClickException | click.exceptions.Exit) or type(error).__module__.startswith(
            "typer"
        ):
            end = "usage"
        elif isinstance(error, OSError) and case.what == "command":
            end = "refused"  # the command line says these in one line, with the name
        else:
            fault = "".join(traceback.format_exc().splitlines(True)[-9:])
    if not fault and time.process_time() - begin > 2 * SECONDS:
        fault = f"took {time.process_time() - begin:.1f} s"
    peak = (timing.peak() or 0.0) / 1e3
    return Outcome(case.number, fault or (f"took {peak:.2f} GB" if peak > GIGABYTES else ""), end)


def _told(case: Case) -> set[str]:
    """Return what may remain after a failure: the table in which a reduction says why its inputs failed."""
    tables = {"reductions.csv", "reductions.jsonl"}
    out = Path("out")
    only = case.arguments[:1] == ("reduce",) and out.is_dir() and {path.name for path in out.iterdir()} <= tables
    return {"out"} if only else set()


class _Late(BaseException):
    pass


def _alarm(*_: object) -> None:
    raise _Late


def _child(batch: list[Case], folder: Path, pipe: int) -> None:
    """Run a batch, and tell each outcome as it comes."""
    import shutil

    signal.signal(signal.SIGPROF, _alarm)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    for case in batch:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.chdir(folder)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # time of the processor: a busy machine is no fault
        outcome = attack(case)
        signal.setitimer(signal.ITIMER_PROF, 0)
        text = pickle.dumps(outcome)
        os.write(pipe, struct.pack("<i", len(text)) + text)
        if "GB" in outcome.fault:
            break  # the next would be blamed for it


def run_batch(batch: list[Case], folder: Path) -> Iterator[Outcome]:
    """Yield the outcome of every case of a batch; a process that hangs or dies is replaced."""
    while batch:
        sys.stdout.flush()
        receive, send = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(receive)
                _child(batch, folder, send)
            finally:
                os._exit(0)
        os.close(send)
        done = 0
        while done < len(batch):
            ready, _, _ = select.select([receive], [], [], DEAF)
            head = os.read(receive, 4) if ready else b""
            if len(head) < 4:
                break
            text = b""
            while len(text) < struct.unpack("<i", head)[0]:
                text += os.read(receive, struct.unpack("<i", head)[0] - len(text))
            outcome: Outcome = pickle.loads(text)
            yield outcome
            done += 1
            if "GB" in outcome.fault:
                break
        else:
            ready = [receive]
        if done < len(batch) and not ready:
            yield Outcome(batch[done].number, f"deaf for {DEAF:g} s", "killed")
            done += 1
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(receive)
        if done < len(batch) and ready and not head and status:
            yield Outcome(batch[done].number, f"the process ended with status {status}", "died")
            done += 1
        batch = batch[done:]


def fuzz(
    count: int,
    seed: int,
    keep: Path | None = None,
    first: int = 0,
    tell: Callable[[str], None] | None = None,
    made: Callable[..., Iterator[Case]] = cases,
) -> tuple[Counter[str], list[str]]:
    """Run `count` attacks; return how they ended and the faults, the file of each in the folder `keep`.

    tell : called with each fault, and with a count every thousand attacks. made : `cases` or `meaning`.
    """
    ends: Counter[str] = Counter()
    faults = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        valid = Path(scratch, "valid")
        valid.mkdir()
        files = valid_files(valid)
        if made is meaning:
            files |= fuzz_meaning.valid(Path(tempfile.mkdtemp(dir=scratch)))
        _warm(files, Path(scratch, "warm"))
        attacks = made(first, count, seed, files)
        while batch := list(islice(attacks, BATCH)):
            for outcome in run_batch(list(batch), Path(scratch, "case")):
                ends[outcome.end if not outcome.fault else "fault"] += 1
                if outcome.fault:
                    case = batch[outcome.number - batch[0].number]
                    faults.append(f"case {case.number}, {case.name} {' '.join(case.arguments)}: {outcome.fault}")
                    if tell is not None:
                        tell(faults[-1])
                    if keep is not None:
                        keep.mkdir(parents=True, exist_ok=True)
                        (keep / f"{case.number}-{case.name}").write_bytes(case.content)
            if tell is not None and sum(ends.values()) % 1000 < BATCH:
                tell(f"{sum(ends.values())} attacks of seed {seed}: {len(faults)} faults")
    return ends, faults


def _warm(files: dict[str, bytes], folder: Path) -> None:
    """Read every valid file once: imports and compiled code are then there in every child; none may be refused."""
    import matplotlib

    from pdfkit.cli.app import app

    matplotlib.use("Agg")
    assert app is not None
    folder.mkdir()
    here = Path.cwd()
    os.chdir(folder)
    try:
        for name, content in files.items():
            Path(name).write_bytes(content)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            for name in files:
                if not name.endswith(".cfg"):
                    _read(name)
            _command(("info", "own.gr"))
            _command(("simulate", "Ni", "--qmax", "20", "-o", "sim.gr", "--plot"))
    finally:
        os.chdir(here)


def main() -> int:
    """Run the attacks that the command line asks for; 1 where there are faults."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case: to run one again")
    parser.add_argument("--keep", type=Path, help="folder for the files that led to faults")
    parser.add_argument("--meaning", action="store_true", help="well-formed files that say something else")
    asked = parser.parse_args()
    begin = time.monotonic()
    made, tell = meaning if asked.meaning else cases, partial(print, flush=True)
    ends, faults = fuzz(asked.count, asked.seed, asked.keep, asked.first, tell, made)
    print(f"{asked.count} attacks in {time.monotonic() - begin:.0f} s:", dict(ends), f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
