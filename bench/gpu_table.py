"""The table of bench/gpu: FLAME beside PyTorch, from the lines of JSON in a folder. `gpu_table.py FOLDER [RESULT]` also writes
RESULT.md and RESULT.json."""

import json
import pathlib
import sys


def lines(path):
    if not path.exists():
        return {}
    rows = (json.loads(x) for x in path.read_text().splitlines() if x.startswith("{"))
    return {r["name"]: r for r in rows}


def main(folder, result=None):
    ours, theirs = lines(folder / "groups.flame.jsonl"), lines(folder / "groups.torch.jsonl")
    rows = []
    for name, row in ours.items():
        peer = theirs.get(name, {}).get("us")
        rows.append((name, row["us"], peer, f"{row['gbs']} GB/s"))
    ours, theirs = lines(folder / "steps.flame.jsonl"), lines(folder / "steps.torch.jsonl")
    for name, row in ours.items():
        if "ms" in row:
            peers = [v for k, v in theirs.get(name, {}).items() if k != "name"]
            rows.append((name, row["ms"] * 1e3, min(peers) * 1e3 if peers else None, ""))
        else:
            rows.append((name, row["bytes"] / 1e6, None, "MB"))
    for name, row in lines(folder / "eager.flame.jsonl").items():
        rows.append((name, row["us"], None, f"of the host; {row['wall_us']:.2f} us until it is done"))
    for name, row in lines(folder / "transform.jsonl").items():
        rows.append((name, row["us"], row["cub_us"], f"beside CUB's DeviceTransform; {row['gbs']} GB/s"))
    machine = (folder / "machine.txt").read_text().strip() if (folder / "machine.txt").exists() else ""
    table = [machine, "", "| case | FLAME, us | PyTorch, us | PyTorch / FLAME | |", "|---|---|---|---|---|"]
    for name, us, peer, note in rows:
        ratio = f"{peer / us:.2f}" if peer else ""
        table.append(f"| {name} | {us:.2f} | {'' if peer is None else f'{peer:.2f}'} | {ratio} | {note} |")
    text = "\n".join(table) + "\n"
    print(text)
    if result:
        result.with_suffix(".md").write_text(text)
        result.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main(*(pathlib.Path(x) for x in sys.argv[1:]))
