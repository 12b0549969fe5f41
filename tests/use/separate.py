"""use.separate: functions that are declared in a header and compiled in files of their own link into a program that
calls and trains them; a function that nobody defines is
missed by its name when the program is linked."""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

toolchain = harness.Toolchain()
name = "g++" if toolchain.compiler("g++") else "clang++"
source = harness.ROOT / "tests/use/separate"
problems = []
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    command = toolchain.everything(name) + ["-O1", "-pthread", *toolchain.warnings, "-Werror"]
    objects = {}
    for part in ("mixer", "wave", "main"):
        objects[part] = folder / f"{part}.o"
        result = harness.run([*command, "-c", source / f"{part}.cpp", "-o", objects[part]])
        print(f"{part}.cpp: {result.seconds:.1f} s")
        if result.code != 0:
            problems.append(f"{part}.cpp does not compile:\n{harness.short(result.output)}")
    if not problems:
        result = harness.run([*command, *objects.values(), "-o", folder / "program"])
        if result.code != 0:
            problems.append(f"the three files do not link:\n{harness.short(result.output)}")
        else:
            result = harness.run([folder / "program"])
            print(result.output, end="")
            if result.code != 0:
                problems.append("what other files define is not what the same formulas are in one")
        result = harness.run([*command, objects["wave"], objects["main"], "-o", folder / "lacking"])
        if result.code == 0 or "waves::mixer" not in result.output:
            problems.append(f"a program without mixer.cpp links, or is refused without mixer's name:\n{result.output}")
    if toolchain.compiler("clang++") and name != "clang++":
        for part in ("mixer", "wave"):
            result = harness.run([*toolchain.everything("clang++"), *toolchain.warnings, "-Werror", "-fsyntax-only",
                                  source / f"{part}.cpp"])
            if result.code != 0:
                problems.append(f"{part}.cpp, with clang++:\n{harness.short(result.output)}")
harness.finish(problems)
