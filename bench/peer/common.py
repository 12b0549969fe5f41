"""What the peers share: threads, the clock, torch.compile, and the line they print."""

import argparse
import json
import logging
import os
import pathlib
import statistics
import sys
import tempfile
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MKL_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # starting a pool costs more than it saves here
os.environ.setdefault("KINETO_LOG_LEVEL", "5")

import torch  # noqa: E402  (OpenMP reads its variables when it is loaded)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "parity"))
# a machine without a GPU is what is wanted here
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", message="Warning: Profiler clears events")


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--seconds", type=float, default=0.7, help="time spent on measuring one thing")
    parser.add_argument("--ask", action="store_true", help="run one case after the other as their names come in")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    # Inductor writes the number of threads into its code, and would take code for another number from its cache
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR",
                          f"{tempfile.gettempdir()}/flame_peer_{os.getuid()}_{given.threads}_threads")
    torch.manual_seed(0)
    if os.getloadavg()[0] > 0.5:
        print(f"load average {os.getloadavg()[0]:.1f}: with other work on these cores the numbers mean nothing "
              "(8 and 16 ms are the scheduler's)", file=sys.stderr)
    return given


def median_ms(f, seconds=0.7, least=5, most=2000):
    """The median of single calls, at least `least`, after a warm-up of a tenth of the time and two calls."""
    begin = time.perf_counter()
    warm = 0
    while warm < 2 or time.perf_counter() - begin < seconds / 10:
        f()
        warm += 1
    times = []
    begin = time.perf_counter()
    while len(times) < least or (time.perf_counter() - begin < seconds and len(times) < most):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def each(cases, given):
    """Runs the cases (functions by name) that are chosen: by --only, or one by one as compare.py asks for them."""
    if given.ask:
        for name in sys.stdin:
            cases[name.strip()]()
    else:
        for name, case in cases.items():
            if given.only in name:
                case()


def compiled(f):
    torch._dynamo.reset()
    return torch.compile(f, dynamic=False, fullgraph=True)


def emit(record):
    print(json.dumps(record), flush=True)


def line(name, eager_ms, compile_ms=None, **more):
    best = min(t for t in (eager_ms, compile_ms) if t is not None)
    rounded = {"eager_ms": eager_ms, "compile_ms": compile_ms, "best_ms": best}
    rounded = {k: None if v is None else float(f"{v:.4g}") for k, v in rounded.items()}
    emit({"name": name, **rounded, **more})
