"""cost.limits: seconds and memory of compiling each row of limits.tsv, against its limits.

measure.py [--limits FILE] [--only NAME] prints a table; any row over its limit, or without its source, fails.
"""
import argparse
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

HERE = pathlib.Path(__file__).resolve().parent
REFERENCE_SECONDS = 0.43  # g++ 12.2, tests/cost/reference.cpp, 2-core machine of the limits
LARGEST_SCALE = 4.0  # a machine slower than that is told so, not given more time


class Row:
    def __init__(self, line):
        fields = line.split("\t")
        if len(fields) != 6:
            raise SystemExit(f"FAILED: a row has six columns parted by tabs, not {len(fields)}: {line}")
        self.name, self.source, self.compiler, self.flags, seconds, megabytes = fields
        factor, star, self.base = seconds.partition("*")
        self.seconds, self.megabytes = float(factor), float(megabytes)
        self.base = self.base if star else None


def rows(path):
    lines = pathlib.Path(path).read_text().splitlines()
    return [Row(line) for line in lines if line.strip() and not line.startswith("#")]


def with_kernels(source, names, folder):
    """A source with the kernels that a list names, as flame_kernels_ahead compiles them."""
    kernels = [line for line in names.read_text().splitlines() if line and not line.startswith("#")]
    file = pathlib.Path(folder) / "with_kernels.cu"
    file.write_text(f'#include "{source}"\n#include <flame/run/cuda/kernel/all.hpp>\nextern const void* const kernels[] = {{\n' +
                    "".join(f"reinterpret_cast<const void*>(&{name}),\n" for name in kernels) + "};\n")
    return file


def command(row, toolchain, output):
    """The compiler's command line for a row."""
    flags = row.flags.split()
    source = harness.ROOT / row.source
    if row.compiler == "nvrtc":
        return [toolchain.compiler(row.compiler), *flags, source, pathlib.Path(output).parent]
    result = toolchain.everything(row.compiler) if "all" in flags else toolchain.language(row.compiler)
    for flag in flags:
        if flag == "syntax":
            result += ["-fsyntax-only"]
        elif flag == "native":
            result += ["-march=native"]
        elif flag.startswith("kernels:"):
            source = with_kernels(source, harness.ROOT / flag.removeprefix("kernels:"), pathlib.Path(output).parent)
        elif flag != "all":
            result += [flag]
    if "syntax" not in flags:
        result += ["-c", "-o", output]
    return result + [source]


def best(line, enough):
    """(seconds, megabytes, failure): the best of two runs, or of five where two are not good enough."""
    seconds = megabytes = None
    for attempt in range(5):
        result = harness.run(line)
        if result.code != 0:
            return None, None, harness.short(result.output)
        seconds = min(seconds or result.seconds, result.seconds)
        megabytes = min(megabytes or result.megabytes, result.megabytes)
        if attempt >= 1 and seconds <= enough:
            break
    return seconds, megabytes, None


def machine_scale(toolchain):
    """How much slower than the machine of the limits this one is; 1 where it is not."""
    if not toolchain.compiler("g++"):
        return 1.0
    row = Row("scale\ttests/cost/reference.cpp\tg++\tsyntax\t0\t0")
    seconds, _, failure = best(command(row, toolchain, None), REFERENCE_SECONDS)
    if failure:
        raise SystemExit(f"FAILED: tests/cost/reference.cpp does not compile:\n{failure}")
    return min(max(1.0, seconds / REFERENCE_SECONDS), LARGEST_SCALE)


def measure(path, toolchain, only="", scale=1.0):
    """Problems found, a list of sentences; prints a line a row."""
    problems, times = [], {}
    print(f"{'seconds':>8} {'limit':>7} {'MB':>6} {'limit':>6}  row")
    for row in rows(path):
        if not re.search(only, row.name):
            continue
        if not (harness.ROOT / row.source).is_file():
            problems.append(f"{row.name}: there is no {row.source}")
            continue
        if not toolchain.compiler(row.compiler):
            print(f"{'skipped: there is no ' + row.compiler:>30}  {row.name}")
            continue
        limit = row.seconds * scale
        if row.base:
            if row.base not in times:
                problems.append(f"{row.name}: no row {row.base} was measured before it")
                continue
            limit = row.seconds * times[row.base]
        with tempfile.TemporaryDirectory() as folder:
            seconds, megabytes, failure = best(command(row, toolchain, pathlib.Path(folder) / "out.o"), limit)
        if failure:
            problems.append(f"{row.name}: {row.source} does not compile with {row.compiler}:\n{failure}")
            continue
        times[row.name] = seconds
        print(f"{seconds:8.2f} {limit:7.2f} {megabytes:6.0f} {row.megabytes:6.0f}  {row.name}", flush=True)
        if seconds > limit:
            problems.append(f"{row.name}: {seconds:.2f} s with {row.compiler}, the limit is {limit:.2f} s")
        if megabytes > row.megabytes:
            problems.append(f"{row.name}: {megabytes:.0f} MB with {row.compiler}, the limit is {row.megabytes:.0f} MB")
    return problems


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limits", default=HERE / "limits.tsv")
    parser.add_argument("--only", default="", help="a regular expression for names of rows")
    arguments = parser.parse_args()
    toolchain = harness.Toolchain()
    scale = machine_scale(toolchain)
    if scale > 1.0:
        print(f"this machine is slower than that of the limits: they are scaled by {scale:.2f}")
    harness.finish(measure(arguments.limits, toolchain, arguments.only, scale))
