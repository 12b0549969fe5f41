"""use.pages: the programs that README.md and docs/first-steps.md show are programs.

README's blocks are the examples that it names beside them, letter by letter (ctest compiles and runs those as
example.first and example.model); each compiles by itself too, without a warning. The blocks of first-steps.md make one
program, as the page says, which is compiled and run; its last block is one for cuda and is compiled as the host's
compiler compiles it.
"""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness


def blocks(page):
    return re.findall(r"^```cpp\n(.*?)^```$", (harness.ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


toolchain = harness.Toolchain()
name = "g++" if toolchain.compiler("g++") else "clang++"
everything = toolchain.everything(name) + [*toolchain.warnings, "-Werror"]
problems = []


def compiled(what, text, folder, options):
    source = folder / "page.cpp"
    source.write_text(text)
    result = harness.run([*everything, source, *options])
    print(f"{what}: {result.seconds:.1f} s")
    if result.code != 0:
        problems.append(f"{what} does not compile:\n{harness.short(result.output)}")
    return result.code == 0


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    shown = blocks("README.md")
    named = re.findall(r"^```\nThis is \[(examples/\w+\.cpp)\]", (harness.ROOT / "README.md").read_text(), re.MULTILINE)
    if not shown or len(shown) != len(named):
        problems.append(f"README.md shows {len(shown)} programs and names {len(named)} examples behind them")
    for block, example in zip(shown, named):
        source = (harness.ROOT / example).read_text()
        opening, _, rest = source.partition("// test:\n")
        if not rest or rest != block:
            problems.append(f"README.md does not show {example} as it is behind its line `// test:`")
        compiled(f"README.md, {example}", block, folder, ["-fsyntax-only"])

    steps = blocks("docs/first-steps.md")
    declared = [block for block in steps if re.match(r"#include|inline|template", block)]
    done = [block for block in steps if block not in declared]
    file, main, there = "\n".join(declared), "\n".join(done[:-1]), done[-1]
    unused = ["-Wno-unused-variable", "-Wno-unused-but-set-variable"]  # a page shows a name and goes on
    if compiled("docs/first-steps.md", f"{file}\nint main() {{\n{main}}}\n", folder,
                [*unused, "-O1", "-pthread", "-o", folder / "program", "-lz", "-lpng"]):
        result = harness.run([folder / "program"], cwd=folder)
        if result.code != 0 or not (folder / "mlp.safetensors").is_file():
            problems.append(f"the program of docs/first-steps.md ends with {result.code}:\n{result.output}")
    compiled("docs/first-steps.md, on a GPU", f"{file}\nint main() {{\n{there}}}\n", folder,
             [*unused, "-fsyntax-only", "-DFLAME_CUDA", "-DFLAME_HOST_COMPILED"])
harness.finish(problems)
