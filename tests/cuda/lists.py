"""cuda.lists: the lists of kernels in kernels/cuda/ are what the examples start on an H200 at their default sizes.

lists.py [--write] MNIST DIFFUSION SDXL BLOCK: the examples and SDXL's blocks, linked with tests/cuda/lists/planned.cpp, and
tests/cost/block_names.cpp, which prints its names. --write makes the lists anew.
"""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

mnist, diffusion, sdxl, block = sys.argv[-4:]
# Training with every size as it is by default, testing, saving, drawing.
short = ["--device", "cuda", "--epochs", "1", "--limit", "128"]
examples = {
    "mlp": [mnist, *short, "--model", "mlp"],
    "cnn": [mnist, *short, "--model", "cnn", "--save", "cnn.safetensors"],
    "diffusion": [diffusion, "--device", "cuda", "--steps", "2", "--every", "1", "--sample-steps", "1", "--samples", "100",
                  "--judge", "cnn.safetensors"],
}

lists = {}  # of names, by their files
problems = []
with tempfile.TemporaryDirectory() as folder:
    for name, command in {**examples, "sdxl": [sdxl], "block": [block]}.items():
        record = pathlib.Path(folder) / name
        result = harness.run(command, cwd=folder, environment={"FLAME_KERNEL_LIST": str(record)})
        if result.code != 0:
            problems.append(f"{name}: {' '.join(command)} fails:\n{harness.short(result.output)}")
        elif name == "block":
            lists["tests/cost/block.txt"] = "# What tests/cost/block_names.cpp prints", result.output
        elif name == "sdxl":
            lists["tests/cuda/lists/sdxl.txt"] = "# What SDXL's blocks start in training on an H200", record.read_text()
        else:
            lists[f"kernels/cuda/{name}.txt"] = f"# What the example {name} starts on an H200", record.read_text()

for file, (what, names) in lists.items():
    text = f"{what}, but for kernels of cuBLASLt and cuDNN; tests/cuda/lists.py writes this.\n"
    text += "".join(f"{name}\n" for name in sorted(set(names.split())))
    path = harness.ROOT / file
    if "--write" in sys.argv:
        path.write_text(text)
    elif not path.is_file() or path.read_text() != text:
        problems.append(f"{file} is not what is started now; the target flame_kernel_lists writes it anew")
harness.finish(problems)
