"""fail.*: a program that must not compile, with the words of its refusal, beside a twin that compiles.

The file says, in lines of its own:
    // error: words     must stand in the first line that says "error:"
    // names: words     must stand anywhere in the output (the tags of the axes, say)
    #ifdef MUST_FAIL ... #else ... #endif
With MUST_FAIL defined it must be refused, with these words; without, it must compile without a warning.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness


def first_error(output):
    """The first line of a compiler's output that says "error:", with the lines that continue it up to its caret."""
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if re.search(r"\b(fatal )?error:", line):
            return line
    return ""


def check(source, name, toolchain):
    """What is wrong with this file under this compiler, a list of sentences."""
    errors, names = harness.directives(source, "error"), harness.directives(source, "names")
    if not errors or any(words == "" for words in errors + names):
        return [f"{source.name} has no line `// error: words`, or an empty one"]
    if not re.search(r"^#ifdef MUST_FAIL$", source.read_text(), re.MULTILINE):
        return [f"{source.name} has no line `#ifdef MUST_FAIL`"]
    command = toolchain.everything(name) + ["-fsyntax-only", *toolchain.warnings]

    twin = harness.run(command + ["-Werror", source])
    if twin.code != 0:
        return [f"the twin in {source.name} must compile, and {name} says:\n{harness.short(twin.output)}"]
    refused = harness.run(command + ["-DMUST_FAIL", source])
    if refused.code == 0:
        return [f"{source.name} must not compile, and {name} took it"]

    first = first_error(refused.output)
    problems = [f"{name} must say in its first error line: {words}" for words in errors if words not in first]
    problems += [f"{name} must say somewhere: {words}" for words in names if words not in refused.output]
    if problems:
        problems[-1] += f"\nits first error line: {first}\nits output:\n{harness.short(refused.output)}"
    else:
        print(f"{name}: {first}")
    return problems


if __name__ == "__main__":
    toolchain = harness.Toolchain()
    source = pathlib.Path(sys.argv[1]).resolve()
    harness.finish([problem for name, _ in toolchain.compilers() for problem in check(source, name, toolchain)])
