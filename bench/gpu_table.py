"""The table of bench/gpu: FLAME beside PyTorch, from the lines of JSON in a folder. With RESULT it also writes RESULT.md and
RESULT.json, whose rows are [case, FLAME's microseconds, the peer's, note]."""

import argparse
import json
import pathlib


def records(path):
    if not path.exists():
        return []
    return [json.loads(x) for x in path.read_text().splitlines() if x.startswith("{")]


def by_name(path):
    return {r["name"]: r for r in records(path)}


def groups(folder):
    theirs = by_name(folder / "groups.torch.jsonl")
    for name, row in by_name(folder / "groups.flame.jsonl").items():
        yield name, row["us"], theirs.get(name, {}).get("us"), f"{row['gbs']} GB/s"


def steps(folder):
    theirs = by_name(folder / "steps.torch.jsonl")
    for name, row in by_name(folder / "steps.flame.jsonl").items():
        if "ms" in row:
            peers = [v for k, v in theirs.get(name, {}).items() if k != "name"]
            yield name, row["ms"] * 1e3, min(peers) * 1e3 if peers else None, ""
        else:
            yield name, row["bytes"] / 1e6, None, "MB"


def attention(folder):
    theirs = {}  # each case's quickest backend
    for row in records(folder / "attention.torch.jsonl"):
        if "us" in row and row["us"] <= theirs.get(row["name"], row)["us"]:
            theirs[row["name"]] = row
    for name, row in by_name(folder / "attention.flame.jsonl").items():
        peer = theirs.get(name.removesuffix(".any_order"), {})
        beside = f"; PyTorch's {peer['backend']}" if peer else ""
        yield name, row["us"], peer.get("us"), f"{row['tflops']} TFLOP/s, {row['way']}{beside}"


def adamw(folder):
    theirs = by_name(folder / "adamw.torch.jsonl")
    for name, row in by_name(folder / "adamw.flame.jsonl").items():
        yield name, row["us"], theirs.get(name, {}).get("us"), f"{row['gbs']} GB/s"


def blocks(folder):
    theirs = by_name(folder / "blocks.torch.jsonl")
    for name, row in by_name(folder / "blocks.flame.jsonl").items():
        peer = theirs.get(name.removesuffix(".any_order"), {})
        if "ms" in row:
            yield name, row["ms"] * 1e3, peer["ms"] * 1e3 if peer else None, ""
        else:
            yield name, row["bytes"] / 1e6, peer["bytes"] / 1e6 if peer else None, "MB"


def eager(folder):
    for name, row in by_name(folder / "eager.flame.jsonl").items():
        yield name, row["us"], None, f"of the host; {row['wall_us']:.2f} us until it is done"


def transform(folder):
    for name, row in by_name(folder / "transform.jsonl").items():
        yield name, row["us"], row["cub_us"], f"beside CUB's DeviceTransform; {row['gbs']} GB/s"


def with_peers(rows, path):
    """Where a case has no peer, the one that it has in another result, which the note then names."""
    known = {name: peer for name, _, peer, _ in json.loads(path.read_text())}
    for name, us, peer, note in rows:
        if peer is None and known.get(name) is not None:
            peer, note = known[name], "; ".join(x for x in (note, f"peer of {path.stem}") if x)
        yield name, us, peer, note


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path, help="what bench/gpu wrote")
    parser.add_argument("result", type=pathlib.Path, nargs="?", help="the files to write, without .md and .json")
    parser.add_argument("--peers", type=pathlib.Path, metavar="OTHER.json", help="an earlier RESULT.json: the peers that this run lacks")
    parser.add_argument("--about", help="the table's first line, where machine.txt does not say all of it")
    given = parser.parse_args()
    machine = given.folder / "machine.txt"
    about = given.about or (machine.read_text().strip() if machine.exists() else "")
    rows = [row for part in (groups, steps, adamw, blocks, eager, transform, attention) for row in part(given.folder)]
    if given.peers:
        rows = list(with_peers(rows, given.peers))
    rows = [(name, round(us, 3), peer if peer is None else round(peer, 3), note) for name, us, peer, note in rows]
    table = [about, "", "| case | FLAME, us | peer, us | peer / FLAME | |", "|---|---|---|---|---|"]
    for name, us, peer, note in rows:
        ratio = f"{peer / us:.2f}" if peer else ""
        table.append(f"| {name} | {us:.2f} | {'' if peer is None else f'{peer:.2f}'} | {ratio} | {note} |")
    text = "\n".join(table) + "\n"
    print(text)
    if given.result:
        # not with_suffix: the name of a result may hold dots
        given.result.with_name(given.result.name + ".md").write_text(text)
        given.result.with_name(given.result.name + ".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
