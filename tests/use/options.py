"""use.options: the examples refuse, in words and with a status that is not 0, options that are out of their range."""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

# (example, options, what its output must say); none of them trains.
REFUSED = [
    ("mnist", ["--epochs", "-1"], "--epochs"),
    ("mnist", ["--batch", "0"], "--batch"),
    ("mnist", ["--lr", "11"], "--lr"),
    ("mnist", ["--lr", "fast"], "--lr"),
    ("mnist", ["--model", "rnn"], "--model"),
    ("mnist", ["--limit", "-5"], "--limit"),
    ("mnist", ["--data", "no/such/folder"], "no/such/folder"),
    ("mnist", ["--load", "no.safetensors"], "no.safetensors"),
    ("mnist", ["--colour", "red"], "--colour"),
    ("mnist", ["--device", "tpu"], "--device"),
    ("mnist", ["--precision", "f8"], "--precision"),
    ("diffusion", ["--steps", "-1"], "--steps"),
    ("diffusion", ["--batch", "0"], "--batch"),
    ("diffusion", ["--guidance", "-1"], "--guidance"),
    ("diffusion", ["--samples", "0"], "--samples"),
    ("diffusion", ["--sample-steps", "0"], "--sample-steps"),
    ("diffusion", ["--ema", "1.5"], "--ema"),
    ("diffusion", ["--channels", "25"], "25 is not a multiple of 24"),
    ("diffusion", ["--device", "tpu"], "--device"),
    ("diffusion", ["--precision", "f8"], "--precision"),
]
# Where a build has no CUDA backend, or a machine no GPU, asking for it says so.
NO_CUDA = [("mnist", ["--device", "cuda"], "--device cuda"), ("diffusion", ["--device", "cuda"], "--device cuda")]


def problems_of(folder, example, options, words):
    with tempfile.TemporaryDirectory() as where:
        result = harness.run([folder / example, *options], cwd=where)
    call = " ".join([example, *options])
    if result.code == 0:
        return [f"{call} must be refused"]
    if result.code < 0 or "terminate called" in result.output:
        return [f"{call} died instead of refusing:\n{harness.short(result.output)}"]
    if words not in result.output:
        return [f"{call} must say: {words}\nit says:\n{harness.short(result.output)}"]
    return []


if __name__ == "__main__":
    folder = pathlib.Path(harness.Toolchain().values.get("build", "build/test")) / "examples"
    if not (folder / "mnist").exists() or not (folder / "diffusion").exists():
        print("skipped: the examples are not built")
        sys.exit(harness.SKIPPED)
    cases = REFUSED + ([] if pathlib.Path("/dev/nvidia0").exists() else NO_CUDA)
    harness.finish([problem for case in cases for problem in problems_of(folder, *case)])
