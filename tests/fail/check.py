"""fail.*: a program that must not compile, with the words of its refusal, beside a twin that compiles.

The file says, in lines of its own:
    // error: words     must stand in the first line that says "error:"
    // names: words     must stand anywhere in the output (the tags of the axes, say)
    #ifdef MUST_FAIL ... #else ... #endif
With MUST_FAIL defined it must be refused, with these words; without, it must compile without a warning.

Several refusals of one kind share a file and its twin: they are numbered from 1,
    // error 1: words
    // names 1: words
    #if MUST_FAIL == 1 ... #elif MUST_FAIL == 2 ... #else ... #endif
and the file is compiled with MUST_FAIL=1, =2, ... once each.
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


def cases(source):
    """The refusals of a file: {flag that asks for it: (error words, names)}; None if the file's form is wrong."""
    text = source.read_text()
    plain, numbers = harness.directives(source, "error"), re.findall(r"^// error (\d+):", text, re.MULTILINE)
    numbers = sorted({int(number) for number in numbers})
    if bool(plain) == bool(numbers) or numbers != list(range(1, len(numbers) + 1)):
        return None
    conditions = re.findall(r"^#(?:el)?if MUST_FAIL == (\d+)$", text, re.MULTILINE)
    if sorted({int(number) for number in conditions}) != numbers:
        return None
    if plain:
        return {"-DMUST_FAIL": (plain, harness.directives(source, "names"))}
    return {f"-DMUST_FAIL={n}": (harness.directives(source, f"error {n}"), harness.directives(source, f"names {n}"))
            for n in numbers}


def refusal(source, name, command, flag, errors, names):
    """What is wrong with one refusal under this compiler."""
    number = flag.partition("=")[2]
    which = f"{source.name}, case {number}," if number else source.name
    if any(words == "" for words in errors + names):
        return [f"{which} has an empty line of words"]
    condition = rf"^#(if|elif) MUST_FAIL == {number}$" if number else r"^#ifdef MUST_FAIL$"
    if not re.search(condition, source.read_text(), re.MULTILINE):
        return [f"{which} has no line `{'#if MUST_FAIL == ' + number if number else '#ifdef MUST_FAIL'}`"]
    refused = harness.run(command + [flag, source])
    if refused.code == 0:
        return [f"{which} must not compile, and {name} took it"]
    first = first_error(refused.output)
    problems = [f"{name} must say in its first error line: {words}" for words in errors if words not in first]
    problems += [f"{name} must say somewhere: {words}" for words in names if words not in refused.output]
    if problems:
        problems[-1] += f"\n{which} has the first error line: {first}\nits output:\n{harness.short(refused.output)}"
    else:
        print(f"{name}: {first}")
    return problems


def check(source, name, toolchain):
    """What is wrong with this file under this compiler, a list of sentences."""
    refusals = cases(source)
    if not refusals:
        return [f"{source.name} has no line `// error: words`, or `// error 1: words` and so on without a gap"]
    command = toolchain.everything(name) + ["-fsyntax-only", *toolchain.warnings]
    twin = harness.run(command + ["-Werror", source])
    if twin.code != 0:
        return [f"the twin in {source.name} must compile, and {name} says:\n{harness.short(twin.output)}"]
    return [problem for flag, (errors, names) in refusals.items()
            for problem in refusal(source, name, command, flag, errors, names)]


if __name__ == "__main__":
    toolchain = harness.Toolchain()
    source = pathlib.Path(sys.argv[1]).resolve()
    harness.finish([problem for name, _ in toolchain.compilers() for problem in check(source, name, toolchain)])
