"""cuda.lists: the lists of kernels in kernels/cuda/ are what the examples start on an H200 at their default sizes.

lists.py [--write] MNIST DIFFUSION: the examples, linked with tests/cuda/lists/planned.cpp. --write makes the lists anew.
"""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

LISTS = harness.ROOT / "kernels" / "cuda"
mnist, diffusion = sys.argv[-2:]
# Training with every size as it is by default, testing, saving, drawing.
short = ["--device", "cuda", "--epochs", "1", "--limit", "128"]
examples = {
    "mlp": [mnist, *short, "--model", "mlp"],
    "cnn": [mnist, *short, "--model", "cnn", "--save", "cnn.safetensors"],
    "diffusion": [diffusion, "--device", "cuda", "--steps", "2", "--every", "1", "--sample-steps", "1", "--samples", "100",
                  "--judge", "cnn.safetensors"],
}

problems = []
with tempfile.TemporaryDirectory() as folder:
    for name, command in examples.items():
        record = pathlib.Path(folder) / name
        result = harness.run(command, cwd=folder, environment={"FLAME_KERNEL_LIST": str(record)})
        if result.code != 0 or not record.is_file():
            problems.append(f"{name}: {' '.join(command)} fails:\n{harness.short(result.output)}")
            continue
        said = f"# What the example {name} starts on an H200, but for kernels of cuBLASLt and cuDNN; tests/cuda/lists.py writes this.\n"
        text = said + "".join(f"{line}\n" for line in sorted(set(record.read_text().split())))
        file = LISTS / f"{name}.txt"
        if "--write" in sys.argv:
            file.write_text(text)
        elif not file.is_file() or file.read_text() != text:
            problems.append(f"kernels/cuda/{name}.txt is not what the example starts now; the target flame_kernel_lists writes it"
                            " anew")
harness.finish(problems)
