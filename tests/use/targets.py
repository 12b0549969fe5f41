"""use.targets.*: every header compiles without a warning for another processor: the paths that it takes there.

native is the machine at hand with all that it has; arm64 (by a cross compiler, where there is one) leaves out floor io
and those above it, whose libraries have no headers for it here.
"""
import pathlib
import platform
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

target = sys.argv[1]
toolchain = harness.Toolchain()
compiler = toolchain.compiler("g++")
found = toolchain.usable(harness.headers())
options = [f"-march={target}"]
if target == "arm64":
    import shutil

    compiler = shutil.which("aarch64-linux-gnu-g++")
    below_io = harness.FLOORS[: harness.FLOORS.index("io")]
    found = toolchain.usable([header for floor in below_io for header in harness.headers(floor)])
    options = []
elif target != "native" and platform.machine() != "x86_64":
    compiler = None
if not compiler:
    print(f"skipped: there is no g++ for {target} here")
    sys.exit(harness.SKIPPED)

with tempfile.TemporaryDirectory() as folder:
    source = pathlib.Path(folder) / "headers.cpp"
    source.write_text("".join(f"#include <{header}>\n" for header in found))
    command = [compiler, *toolchain.everything("g++")[1:], *options, "-fsyntax-only", "-Werror", *toolchain.warnings]
    result = harness.run(command + [source])
print(f"{len(found)} headers for {target}: {result.seconds:.1f} s")
harness.finish([harness.short(result.output)] if result.code != 0 else [])
