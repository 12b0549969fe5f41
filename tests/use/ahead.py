"""use.ahead: a project that is not ours has its kernels compiled by nvcc, from a list that it makes without a GPU."""
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

toolchain = harness.Toolchain()
if not toolchain.values.get("cuda") or not toolchain.compiler("nvcc") or not toolchain.compiler("g++"):
    print("skipped: there is no CUDA with cuDNN and nvcc")
    sys.exit(harness.SKIPPED)
problems = []


def step(words, command, fails=False, says=()):
    result = harness.run(command)
    if (result.code != 0) != fails:
        problems.append(f"{words} {'passes' if fails else 'fails'}:\n{harness.short(result.output)}")
        harness.finish(problems)
    unbroken = " ".join(result.output.split())  # CMake breaks its lines
    for part in says:
        if part not in unbroken:
            problems.append(f"{words} does not say '{part}':\n{harness.short(result.output)}")
    return result.output


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    source, build, names = folder / "user", folder / "build", folder / "user" / "kernels.txt"
    # The library as this tree's build has it, installed.
    step("building flame::cuda", [toolchain.cmake, "--build", toolchain.values["build"], "--target", "flame_cuda"])
    step("installing flame", [toolchain.cmake, "--install", toolchain.values["build"], "--prefix", folder / "prefix"])
    shutil.copytree(harness.ROOT / "tests/use/ahead", source)
    names.write_text("# Nothing yet.\n")

    configure = [toolchain.cmake, "-S", source, "-B", build, "-G", toolchain.values["generator"],
                 f"-DCMAKE_CXX_COMPILER={toolchain.cxx}", f"-DCMAKE_CUDA_COMPILER={toolchain.compiler('nvcc')}",
                 f"-DCMAKE_CUDA_HOST_COMPILER={toolchain.compiler('g++')}", "-DCMAKE_CUDA_ARCHITECTURES=90",
                 "-DFLAME_CUDA_ARCHITECTURES=90", f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}"]
    make = [toolchain.cmake, "--build", build]
    run = [build / "user"]
    step("configuring", configure)
    step("building", make)
    before = step("running with an empty list", run)

    listed = step("listing", run + ["--list"])
    names.write_text(listed)
    step("building with the list", make, says=["Compiling kernels"])
    count = len(listed.split())
    own = "FLAME_KERNELS_AHEAD:BOOL=ON" in (pathlib.Path(toolchain.values["build"]) / "CMakeCache.txt").read_text()
    if f"{count} of {count} kernels" in before:
        problems.append(f"all kernels are there before the list is: nothing is tested\n{before}")
    print(step("running", run, says=[f"{count} of {count} kernels were compiled beforehand",
                                       "copies: beforehand" if own else "copies: at first use"]), end="")

    names.write_text("# The same in another order, and twice.\n" + listed + "\n".join(reversed(listed.split())) + "\n")
    again = step("building again", make)
    if "Compiling kernels" in again:
        problems.append(f"a list of the same kernels compiles them again:\n{again}")
    names.write_text(listed + "flame::kernel::nothing<1>\n")
    step("building with a kernel that does not exist", make, fails=True, says=["flame::kernel::nothing<1>", 'no member "nothing"'])
    names.write_text("# A comment.\n\nflame::kernel::copy<4>\nflame::kernel::copy<4\n")
    step("building with a line that is no name", make, fails=True, says=["kernels.txt:4: this is not the name of a kernel"])
    names.write_text(listed)
    step("configuring without nvcc", configure + ["-DFLAME_NVCC="],
         says=["flame_kernels_ahead(user): no nvcc found; kernels are compiled when they are first used"])
harness.finish(problems)
