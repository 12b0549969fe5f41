"""FLAME's own kernels under compute-sanitizer, in all tests that start kernels on a GPU: several processes at once.

gpu_sanitize.py [--binaries build/gpu] [--out FOLDER] [--tools memcheck,...] [--only NAME] [--limit SECONDS] [--list]

cuda.large is left out: memcheck keeps books on every byte of its tens of gigabytes. cuda.devices runs where there are two
GPUs. Programs compile their kernels before this is run (bench/gpu test does), or they spend their time on that here.
"""
import argparse
import concurrent.futures
import fnmatch
import math
import os
import pathlib
import re
import subprocess
import sys
import time

TOOLS = "memcheck racecheck initcheck synccheck".split()

# Programs that start no kernels of their own process: what is known without a GPU, or on one that stands in for it; and
# cuda.ahead, whose kernels are those of cuda.train, started by a child.
WITHOUT_KERNELS = ("absent ahead blocks cache choices code code_of_operations eager faults profile twin_* planned_* large")

# (name, program, arguments, parts): a program of many test cases goes to several processes. Programs of tests/cuda that
# are not named here are two parts each.
LIBRARY = "--test-case=*on a GPU*,*cuBLASLt*,*cuDNN,*CUDA graph*"  # the others emulate kernels on the host
JOBS = [
    ("laws", "operations", [], 32),
    ("library", "library", [LIBRARY], 1),  # it compiles its kernels itself, on all processors
    ("function", "function", [], 4),
    ("train", "train", [], 5),
    ("graphs", "graphs", [], 4),
    ("watch", "watch", [], 2),
    ("tensor", "tensor", [], 1),
    ("devices", "devices", [], 2),
]

# Reports of kernels that are not FLAME's: (tool, name of the kernel, why it is none of ours). Others of libraries are
# shown and do not fail.
KNOWN = []

# What is left out: (tools, job, test case, why).
LEFT_OUT = [
    (TOOLS, "watch", "*more memory than there is*", "it takes the memory that the tool needs"),
    (["racecheck"], "function", "threads share a device",
     "several threads start kernels on one stream, and the tool loses track of launches; the other tools do it"),
]


def cases_of(program, arguments):
    """How many test cases a doctest program would run."""
    said = subprocess.run([program, "--count", *arguments], capture_output=True, text=True).stdout
    found = re.findall(r"filters:\s*(\d+)", said)
    return int(found[-1]) if found else 0


def programs(options):
    """JOBS, and what else there is."""
    named = {program for _, program, _, _ in JOBS}
    for path in sorted((options.binaries / "tests" / "cuda").glob("*")):
        other = not any(fnmatch.fnmatch(path.name, pattern) for pattern in WITHOUT_KERNELS.split())
        if other and path.name not in named and os.access(path, os.X_OK) and path.is_file():
            yield path.name, path.name, [], 2
    yield from JOBS


def jobs(options):
    """(tool, name, command) of each process."""
    found = []
    for name, program, arguments, parts in programs(options):
        path = options.binaries / "tests" / "cuda" / program
        if options.only and name not in options.only.split(",") or not path.exists():
            continue
        for tool in options.tools.split(","):
            own = list(arguments)
            left_out = [case for tools, job, case, _ in LEFT_OUT if tool in tools and job == name]
            if left_out:
                own.append("--test-case-exclude=" + ",".join(left_out))
            cases = cases_of(str(path), own)
            parts_here = min(parts, max(cases, 1))
            each = math.ceil(cases / parts_here)
            for i in range(parts_here if cases else 0):
                span = [f"--first={i * each + 1}", f"--last={(i + 1) * each}"] if parts_here > 1 else []
                found.append((tool, f"{name} {i + 1}/{parts_here}", [str(path), *own, *span]))
    return found


def environment(tool):
    own = dict(os.environ)
    # Under a tool times mean nothing: the libraries' own advice, always the same. Of the laws the programs alone.
    own["FLAME_TIMING"] = "0"
    own["FLAME_LAWS"] = "few"
    if tool == "racecheck":
        own["FLAME_EARLY"] = "0"  # it does not follow kernels that start before others end
    return own


def run(job, options):
    tool, name, command = job
    log = options.out / f"{tool}-{re.sub('[^a-z0-9]+', '-', name)}.log"
    # initcheck has to see what libraries write; the others look at FLAME's kernels alone.
    only = [] if tool == "initcheck" else ["--kernel-name", "kns=flame"]
    begun = time.time()
    with open(log.with_suffix(".out"), "w") as output:
        try:
            code = subprocess.run(["compute-sanitizer", "--tool", tool, *only, "--log-file", str(log), *command],
                                  stdout=output, stderr=subprocess.STDOUT, timeout=options.limit,
                                  env=environment(tool)).returncode
        except subprocess.TimeoutExpired:
            code = "time"
    return tool, name, code, time.time() - begun, log


def reports_of(log):
    """(kernel, first line) of each report, and whether the tool itself failed."""
    if not log.exists():
        return [], "no log"
    lines = [line.removeprefix("=========").strip() for line in log.read_text(errors="replace").splitlines()]
    reports, broken = [], ""
    for i, line in enumerate(lines):
        if re.search(r"Internal Sanitizer Error|[Ff]ailed to (track|instrument)|Unable to|No attachable process", line):
            broken = line
        if re.match(r"(Invalid|Uninitialized|Misaligned|Race reported|Barrier error|Error: Race|Warning: Race|Potential"
                    r"|Program hit|Malloc|Leaked)", line):
            kernel = next((re.sub(r"^at ", "", l).split("+0x")[0] for l in lines[i:i + 3] if l.startswith("at ")), "")
            kernel = kernel or next((m[1] for l in lines[i:i + 3] if (m := re.search(r" in (\S.*)", l))), "")
            reports.append((kernel, line))
    if lines and not any("ERROR SUMMARY" in line or "RACECHECK SUMMARY" in line for line in lines):
        broken = broken or "the log has no summary"
    return reports, broken


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries", type=pathlib.Path, default=pathlib.Path("build/gpu"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/gpu/out/sanitize"))
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--only", default="")
    parser.add_argument("--limit", type=float, default=240, help="seconds of a process")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    todo = jobs(options)
    if options.list:
        print("\n".join(f"{tool:10} {name:16} {' '.join(command)}" for tool, name, command in todo))
        return 0
    if not todo:
        print("gpu_sanitize: nothing to run: no GPU, or the tests are not built")
        return 1
    bad, theirs, slowest = 0, {}, {}
    with concurrent.futures.ThreadPoolExecutor(options.processes) as pool:
        for tool, name, code, seconds, log in pool.map(lambda job: run(job, options), todo):
            reports, broken = reports_of(log)
            own = [r for r in reports if "flame" in r[0] or not r[0]]
            for kernel, line in reports:
                if (kernel, line) not in own:
                    theirs[(tool, kernel, line)] = theirs.get((tool, kernel, line), 0) + 1
            wrong = [f"{len(own)} reports"] if own else []
            wrong += [broken] if broken else []
            wrong += [f"not ended in {options.limit:.0f} s"] if code == "time" else [f"exit {code}"] if code else []
            slowest[tool] = max(slowest.get(tool, (0, "")), (seconds, name))
            bad += bool(wrong)
            print(f"{tool:10} {name:16} {seconds:5.1f} s  {'; '.join(wrong) or 'clean'}", flush=True)
            for kernel, line in own[:3]:
                print(f"    {line}\n    {kernel}")
    for (tool, kernel, line), times in sorted(theirs.items()):
        why = next((w for t, k, w in KNOWN if t == tool and re.search(k, kernel)), "new; not FLAME's")
        print(f"{tool}: {times} x {line}: {kernel} ({why})")
    for tool, (seconds, name) in slowest.items():
        print(f"{tool}: the longest process is {name}, {seconds:.0f} s")
    print(f"{len(todo)} processes, {bad} not clean")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
