"""use.linked: two files that include every header link into one program (nothing is defined twice), and it runs."""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

toolchain = harness.Toolchain()
name = "g++" if toolchain.compiler("g++") else "clang++"
includes = "".join(f"#include <{header}>\n" for header in toolchain.usable(harness.headers()))
with tempfile.TemporaryDirectory() as folder:
    first, second, program = (pathlib.Path(folder) / part for part in ("first.cpp", "second.cpp", "program"))
    first.write_text(includes + "int second();\nint main() { return second(); }\n")
    second.write_text(includes + "int second() { return 0; }\n")
    command = toolchain.everything(name) + ["-O0", "-pthread", first, second, "-o", program, "-lpng", "-lz"]
    result = harness.run(command)
    problems = []
    if result.code != 0:
        problems.append(f"two files with every header do not link:\n{harness.short(result.output)}")
    elif harness.run([program]).code != 0:
        problems.append("the linked program does not run")
    print(f"{len(harness.headers())} headers, twice: {result.seconds:.1f} s")
harness.finish(problems)
