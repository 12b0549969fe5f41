"""static.*: compiling the file is the test, without a warning, by g++ and clang++ (a line `// compilers:` names others)."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

source = pathlib.Path(sys.argv[1]).resolve()
toolchain = harness.Toolchain()
asked = harness.directives(source, "compilers")
names = asked[0].split() if asked else ["g++", "clang++"]

problems, used = [], []
for name, _ in toolchain.compilers(names):
    command = toolchain.everything(name)
    if name == "nvcc":
        command += ["-c", "-o", "/dev/null"]
    else:
        command += ["-fsyntax-only", "-Werror", *toolchain.warnings]
    result = harness.run(command + [source])
    used.append(f"{name} {result.seconds:.2f} s")
    if result.code != 0:
        problems.append(f"{source.name} does not compile with {name}:\n{harness.short(result.output)}")
if not used:
    print(f"skipped: there is none of the compilers {' '.join(names)}")
    sys.exit(harness.SKIPPED)
print(f"{source.name}: {', '.join(used)}")
harness.finish(problems)
