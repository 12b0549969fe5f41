"""use.headers.*: the headers of a floor compile without a warning, each alone and twice in one file.

g++ takes each header alone; clang++ and nvcc take all of a floor in one file. Floors base to plan get no
dependency's include path, so what they include beyond the standard library is an error; nvcc takes only these.
"""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

floor, name = sys.argv[1:3]
toolchain = harness.Toolchain()
if not toolchain.compiler(name):
    print(f"skipped: there is no {name}")
    sys.exit(harness.SKIPPED)

found = toolchain.usable(harness.headers(floor), cuda=True)
if name == "nvcc":
    found = [header for header in found if harness.is_language(header)]
    options = ["-c", "-o", "/dev/null", *(f"-Xcompiler={warning}" for warning in toolchain.warnings)]
else:
    options = ["-fsyntax-only", "-Werror", *toolchain.warnings]
files = [[header] for header in found] if name == "g++" else [found]

problems = []
for together in files:
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "header.cpp"
        source.write_text("".join(f"#include <{header}>\n" for header in together * 2))
        of_language = all(harness.is_language(header) for header in together)
        command = toolchain.language(name) if of_language else toolchain.everything(name)
        result = harness.run(command + options + [source])
    print(f"{result.seconds:5.2f} s {result.megabytes:5.0f} MB  {' '.join(together)}")
    if result.code != 0 or "warning" in result.output:
        problems.append(f"{' '.join(together)}, with {name}:\n{harness.short(result.output)}")
harness.finish(problems)
