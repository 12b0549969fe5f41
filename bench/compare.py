"""FLAME beside PyTorch on the same two cores in one run: `./run bench compare`, which builds what this needs.

compare.py BUILD [--only PART] [--seconds S] [--out FOLDER]

BUILD is CMake's folder (build/default), PART one of compile, steps, maps, rows, products. Prints a table and writes it
as FOLDER/host-<date>.md and .json (bench/results). Both sides run on the same two cores, turn by turn: of rows and
products each case is measured here, there and here again, of the steps all of them are, and of maps one side after the
other. Numbers are medians. Both sides run with real-time priority where this process may have it. Under a load other than
its own the table means little; it says how much there was, and whether priority was had.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
PARTS = ("compile", "steps", "maps", "rows", "products")


def say(words):
    print(words, file=sys.stderr, flush=True)


def records(command, environment=None):
    """What a program prints, by name."""
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                         env={**os.environ, **(environment or {})}).stdout
    return {r["name"]: r for r in (json.loads(x) for x in out.splitlines() if x.startswith("{"))}


# With glibc's defaults a large result's memory goes back to the system after each call, and getting it again takes longer
# than many a kernel (FLAME's tensors keep their large blocks by themselves: run/large_blocks.hpp). Rows and products compare
# kernels: both sides keep their memory. Maps are measured both ways.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


class Asked:
    """A program that measures the cases it is told to, one at a time."""

    def __init__(self, command):
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen([*self.command, "--ask"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **KEEP_MEMORY})

    def measure(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        while text := self.process.stdout.readline():
            if text.startswith("{"):
                return json.loads(text)
        raise SystemExit(f"compare: {' '.join(self.command)} ended at {name}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def row(name, unit, ours, eager, compiled, bound=None, rate=None):
    return {"name": name, "unit": unit, "flame": ours, "eager": eager, "compile": compiled, "bound": bound, "rate": rate}


def turn_by_turn(program, peer, options):
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    ours, theirs = Asked([program]), Asked([sys.executable, peer, *options])
    for name in names:
        if name.startswith("machine."):
            continue
        say(f"  {name}")
        first, other, second = ours.measure(name), theirs.measure(name), ours.measure(name)
        ms, bound = statistics.mean((first["ms"], second["ms"])), min(first["bound_ms"], second["bound_ms"])
        rate = f"{first['flops'] / ms / 1e6:.0f} GFLOP/s" if "flops" in first else f"{first['bytes'] / ms / 1e6:.0f} GB/s"
        yield row(name, "ms", ms, other["eager_ms"], other["compile_ms"], bound, rate)
    ours.close(), theirs.close()


def compile_rows(build, options):
    """Seconds in which a compiler makes an example, a whole program, beside torch.compile's first calls."""
    database = json.loads((build / "compile_commands.json").read_text())
    entry = next(e for e in database if e["file"].endswith("bench/steps.cpp"))
    words = shlex.split(entry["command"])
    while not pathlib.Path(words[0]).name.startswith(("g++", "clang++", "c++")):  # ccache
        words.pop(0)
    for flag in ("-MD", "-o", "-MT", "-MF"):
        if flag in words:
            at = words.index(flag)
            del words[at:at + (1 if flag == "-MD" else 2)]
    words[words.index(entry["file"])] = "SOURCE"

    def seconds(source):
        begin = time.perf_counter()
        subprocess.run([here.parent / source if w == "SOURCE" else w for w in words] + ["-o", os.devnull],
                       cwd=entry["directory"], check=True)
        return time.perf_counter() - begin

    peers = records([sys.executable, here / "peer" / "first_call.py", *options])
    first = {name: peers[f"compile.{name}"]["seconds"] for name in ("mlp", "cnn", "dit")}
    for source, names in {"examples/mnist.cpp": ("mlp", "cnn"), "examples/diffusion.cpp": ("dit",)}.items():
        yield row(f"compile {source}; first calls of {', '.join(names)}", "s", seconds(source), None,
                  sum(first[name] for name in names))


def step_rows(build, options):
    before = records([build / "bench" / "steps"])
    peers = records([sys.executable, here / "peer" / "steps.py", *options])
    after = records([build / "bench" / "steps"])
    for name, ours in before.items():
        if name not in peers:
            continue
        peer = peers[name]
        if "bytes" in ours:
            yield row(name, "MB", ours["bytes"] / 1e6, peer["eager_bytes"] / 1e6, peer["compile_bytes"] / 1e6)
        else:
            yield row(name, "ms", statistics.mean((ours["ms"], after[name]["ms"])), peer["eager_ms"], peer["compile_ms"])


def map_rows(build, options):
    copy = records([build / "bench" / "rows", "machine.copy"])["machine.copy"]
    for words, environment in {"": {}, ", memory kept": KEEP_MEMORY}.items():
        ours = records([build / "bench" / "maps"], environment)
        peers = records([sys.executable, here / "peer" / "maps.py", *options], environment)
        for name, mine in ours.items():
            peer = peers[name]
            moved = 4 * peer["elements"] * (peer["inputs"] + 1)
            yield row(name + words, "ms", mine["ms"], peer["eager_ms"], peer["compile_ms"],
                      copy["ms"] * moved / copy["bytes"], f"{moved / mine['ms'] / 1e6:.0f} GB/s")


def take_priority():
    """Real-time priority for this process and what it starts, or why there is none; in words for the table's head."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
        return "both sides with real-time priority (SCHED_RR 5)"
    except (OSError, AttributeError) as refused:
        return f"without real-time priority ({refused})"


def table(rows):
    def number(value):
        return "" if value is None else f"{value:.4g}"

    yield "| case | unit | FLAME | eager | torch.compile | best / FLAME | FLAME's rate | bound | bound / FLAME |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for r in rows:
        best = min(x for x in (r["eager"], r["compile"]) if x)
        share = f"{r['bound'] / r['flame']:.0%}" if r["bound"] else ""
        yield (f"| {r['name']} | {r['unit']} | {number(r['flame'])} | {number(r['eager'])} | {number(r['compile'])} | "
               f"{best / r['flame']:.2f} | {r['rate'] or ''} | {number(r['bound'])} | {share} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--seconds", type=float, default=0.5, help="the peer's time for one measurement")
    parser.add_argument("--out", type=pathlib.Path, default=here / "results")
    given = parser.parse_args()
    build = given.build.resolve()

    priority = take_priority()
    say(priority)
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)  # what is started from here on inherits it
    os.environ["OMP_NUM_THREADS"] = os.environ["FLAME_THREADS"] = str(len(cores))
    cache = tempfile.mkdtemp(prefix="flame-compare-")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    options = ["--threads", str(len(cores)), "--seconds", str(given.seconds)]

    load, begin, rows = os.getloadavg()[0], time.perf_counter(), []
    if load > 0.5:
        say(f"load average {load:.1f}: other work runs on this machine, and the numbers will show it")
    makers = {
        "compile": lambda: compile_rows(build, options),
        "steps": lambda: step_rows(build, options),
        "maps": lambda: map_rows(build, options),
        "rows": lambda: turn_by_turn(build / "bench" / "rows", here / "peer" / "rows.py", options),
        "products": lambda: turn_by_turn(build / "bench" / "contract", here / "peer" / "matmul.py", options),
    }
    try:
        for part in PARTS:
            if given.only in (None, part):
                say(f"{part} ({time.perf_counter() - begin:.0f} s so far)")
                rows += makers[part]()
    finally:
        shutil.rmtree(cache, ignore_errors=True)

    import torch

    def git(*words):
        if not shutil.which("git"):
            return ""
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True).stdout.strip()

    commit = (git("rev-parse", "--short", "HEAD") or "of no commit") + ("+" if git("status", "--porcelain", "-uno") else "")
    model = [x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")]
    head = (f"FLAME {commit} beside PyTorch {torch.__version__}, {datetime.date.today()}, cores {cores} of "
            f"{os.cpu_count()}, {model[0] if model else platform.machine()}, {priority}; load average {load:.1f} when it began, "
            f"{os.getloadavg()[0]:.1f} at its end; {time.perf_counter() - begin:.0f} s.")
    notes = ["Medians of many calls on random data. `best` is the better of eager and torch.compile.",
             "The bound of maps and rows is a copy of as many bytes as must be read and written, by memcpy on the same",
             "cores, in the cache where they lie if one holds them; of products the multiplications and additions that",
             "the cores do in registers alone. A gradient is forward and backward. Compiling is one process here.",
             "Of rows, products and maps so named memory stays with the process (MALLOC_MMAP_MAX_=0) on both sides; of",
             "steps and the other maps PyTorch has the system's own allocator, which gives large blocks back, and FLAME",
             "keeps them by itself."]
    text = "\n".join([head, "", *notes, "", *table(rows), ""])
    given.out.mkdir(parents=True, exist_ok=True)
    stem = given.out / f"host-{datetime.date.today()}"
    stem.with_suffix(".md").write_text(text)
    stem.with_suffix(".json").write_text(json.dumps({"head": head, "rows": rows}, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
