"""FLAME beside PyTorch on the same cores in one run: `./run bench compare` or, after a build,
`python3 bench/compare.py BUILD/bench`. Writes bench/results/host-<date>.md and .json, and prints the table."""

import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

here = pathlib.Path(__file__).parent


def lines(command):
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {r["name"]: r for r in (json.loads(x) for x in out.splitlines() if x.startswith("{"))}


def main(build):
    rows = []
    for part in ("steps", "maps"):
        ours = lines([build / part])
        peers = lines([sys.executable, here / "peer" / f"{part}.py"])
        for name, row in ours.items():
            peer = peers.get(name)
            if peer is None:
                continue
            if "bytes" in row:
                rows.append((name, row["bytes"] / 1e6, peer["eager_bytes"] / 1e6, (peer["compile_bytes"] or 0) / 1e6, "MB"))
            else:
                rows.append((name, row["ms"], peer["eager_ms"], peer["compile_ms"] or 0, "ms"))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True).stdout.strip()
    import torch
    cpu = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), platform.machine())
    head = (f"FLAME {commit} beside PyTorch {torch.__version__}, {datetime.date.today()}, {os.cpu_count()} cores of {cpu}, "
            f"load {os.getloadavg()[0]:.1f}. Medians.")
    table = ["| case | unit | FLAME | eager | torch.compile | best / FLAME |", "|---|---|---|---|---|---|"]
    for name, ours, eager, compiled, unit in rows:
        best = min(x for x in (eager, compiled) if x)
        table.append(f"| {name} | {unit} | {ours:.2f} | {eager:.2f} | {compiled:.2f} | {best / ours:.2f} |")
    text = "\n".join([head, "", *table, ""])
    folder = here / "results"
    folder.mkdir(exist_ok=True)
    stem = folder / f"host-{datetime.date.today()}"
    stem.with_suffix(".md").write_text(text)
    stem.with_suffix(".json").write_text(json.dumps({"head": head, "rows": rows}, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
