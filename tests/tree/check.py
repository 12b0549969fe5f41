"""tree.*: what the files of this tree promise about each other, read from the files alone.

check.py floors|layout|headers|text|format [folder]
"""
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

TOP_LEVEL = ("CMakeLists.txt CMakePresets.json LICENSE README.md bench cmake docs examples include kernels run "
             "tests").split()
TEST_FOLDERS = ("base type graph pass expr plan run cuda nn optim io data train diffusion static laws parity fail use cost "
                "tree").split()
LINES_WARNED = 400

# A dependency's headers, and where they may be included: floors or folders below include/flame/.
EXTERNAL = [
    (r"(Eigen|unsupported/Eigen)/", ["run/eigen.hpp"]),
    (r"(cuda|nvrtc|nccl|curand|cub/|thrust/|cooperative_groups)", ["run/cuda", "parallel"]),
    (r"cublas", ["run/cuda/blas.hpp"]),
    (r"cudnn", ["run/cuda/dnn_descriptor.hpp"]),
    (r"boost/", [floor for floor in harness.FLOORS if floor not in harness.LANGUAGE_FLOORS]),
    (r"(zlib\.h|zconf\.h|png\.h|nlohmann/)", ["io"]),
    (r"(doctest|CLI|gtest|benchmark)/", []),
]
# Who may be named in a link. Nobody's package registry: those are the business of the machine, not of the tree.
# www.w3.org: names of XML languages, SVG say, which nobody follows.
LINKED = "github.com arxiv.org doi.org www.w3.org"


def tracked(root):
    """Files of the tree: what git knows and does not ignore, else everything outside build folders."""
    listed = shutil.which("git") and subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True)
    if listed and listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        names = [name for name in names if not re.match(r"(build|\.git/|\.cache/)", name) and "__pycache__" not in name]
    return sorted(name for name in names if (root / name).is_file())


def includes(path):
    """(line number, the brackets' kind, name) of each include of a file."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line):
            yield number, match[1], match[2]


def headers(root):
    top = root / "include" / "flame"
    return {str(path.relative_to(top)): path for path in sorted(top.rglob("*")) if path.suffix in (".hpp", ".cuh")}


def floors(root):
    """Which header may include which."""
    found, problems = headers(root), []
    own = {}
    for name, path in found.items():
        floor = name.split("/")[0]
        umbrella = "/" not in name
        if not umbrella and floor not in harness.FLOORS:
            problems.append(f"include/flame/{name}: {floor}/ is no floor")
            continue
        own[name] = []
        for number, bracket, included in includes(path):
            place = f"include/flame/{name}:{number}"
            if bracket == '"':
                problems.append(f"{place}: includes are written <flame/...>, not in quotes")
                continue
            if not included.startswith("flame/"):
                for pattern, allowed in EXTERNAL:
                    if re.match(pattern, included) and not any(f"{name}/".startswith(f"{folder}/") for folder in allowed):
                        problems.append(f"{place}: <{included}> belongs in {' or '.join(allowed) or 'no header'}")
                continue
            target = included[len("flame/"):]
            if target not in found:
                problems.append(f"{place}: there is no <{included}>")
                continue
            own[name].append(target)
            if f"flame/{target}" == harness.EIGEN_HEADER:
                problems.append(f"{place}: <{included}> is for users of Eigen, and no header includes it")
            other = target.split("/")[0]
            if "/" not in target:
                if target != "version.hpp" and not umbrella:
                    problems.append(f"{place}: a floor includes no umbrella header")
                continue
            if umbrella:
                if name == "version.hpp" or name == "language.hpp" and other not in harness.LANGUAGE_FLOORS:
                    problems.append(f"{place}: {name} does not include {other}/")
            elif other in harness.FLOORS and harness.FLOORS.index(other) > harness.FLOORS.index(floor):
                problems.append(f"{place}: {floor}/ is below {other}/ and does not include it")
            for side in ("host", "cuda"):
                if target.startswith(f"run/{side}/") and name.startswith("run/") \
                        and not name.startswith(f"run/{side}/") and name not in ("run/executable.hpp", "run/storage.hpp"):
                    problems.append(f"{place}: run/ does not know its backend {side}")
    return problems + cycles(own)


def cycles(graph):
    """A sentence for the first cycle of includes, if there is one."""
    state, path = {}, []

    def visit(name):
        state[name] = "open"
        path.append(name)
        for target in graph.get(name, []):
            if state.get(target) == "open":
                return [f"headers include each other: {' -> '.join(path[path.index(target):] + [target])}"]
            if target not in state and (problem := visit(target)):
                return problem
        path.pop()
        state[name] = "done"
        return []

    for name in graph:
        if name not in state and (problem := visit(name)):
            return problem
    return []


def layout(root):
    """What lies where: the top level is fixed, and every test lies in a folder that is run."""
    problems = []
    for name in tracked(root):
        parts = name.split("/")
        if parts[0] not in TOP_LEVEL and not parts[0].startswith("."):
            problems.append(f"{name}: the top level holds {' '.join(TOP_LEVEL)} and dot files only")
        if parts[0] == "tests" and len(parts) > 2 and parts[1] not in TEST_FOLDERS:
            problems.append(f"{name}: no test is looked for in tests/{parts[1]}/")
        if parts[0] == "include" and (len(parts) < 3 or parts[1] != "flame"):
            problems.append(f"{name}: headers lie in include/flame/")
        if parts[0] == "include" and pathlib.Path(name).suffix not in (".hpp", ".cuh", ".md"):
            problems.append(f"{name}: include/ holds .hpp, .cuh and a README")
    return problems


def opening(root):
    """Each header opens with a sentence and #pragma once; their lengths are printed, longest first."""
    problems, lengths = [], []
    for name, path in headers(root).items():
        lines = path.read_text().splitlines()
        lengths.append((len(lines), name))
        comment = 0
        while comment < len(lines) and lines[comment].startswith("//"):
            comment += 1
        if comment == 0:
            problems.append(f"include/flame/{name}: begins with a comment that says what it is")
        elif lines[comment : comment + 1] != ["#pragma once"]:
            problems.append(f"include/flame/{name}: `#pragma once` follows the opening comment at once")
        inside = False
        for line in lines:
            inside = inside or line.startswith("namespace ")
            if re.match(r"\s*using namespace ((std|boost|Eigen)\b(?!::\w*literals))", line) or (
                    not inside and line.startswith("using namespace ")):
                problems.append(f"include/flame/{name}: a header has no `using namespace` for all who include it")
    lengths.sort(reverse=True)
    if lengths:
        print(f"{len(lengths)} headers, {sum(length for length, _ in lengths)} lines, "
              f"median {lengths[len(lengths) // 2][0]}, longest {lengths[0][0]}")
    for length, name in lengths:
        warning = f"  over {LINES_WARNED}: does it hold one concept?" if length > LINES_WARNED else ""
        print(f"{length:6} {name}{warning}")
    return problems


def text(root):
    """No path of one machine, no stranger's host, in any text of the tree."""
    problems = []
    folders = "|".join(("work", "root", "home/[a-z]+", "Users/[A-Za-z]+", "usr/local/cuda-[0-9]"))
    for name in tracked(root):
        data = (root / name).read_bytes()
        if b"\0" in data[:8000]:
            continue
        try:
            lines = data.decode().splitlines()
        except UnicodeDecodeError:
            problems.append(f"{name}: is not UTF-8")
            continue
        for number, line in enumerate(lines, 1):
            place = f"{name}:{number}"
            if match := re.search(rf"(?<![\w./}}])/(?:{folders})/", line):
                problems.append(f"{place}: names a folder of one machine: {match[0]}")
            for host in re.findall(r"\bhttps?://([^/\s:)>\"'`]+)", line):
                if not any(host == known or host.endswith("." + known) for known in LINKED.split()):
                    problems.append(f"{place}: links to {host}; known are {LINKED}")
        if data and not data.endswith(b"\n"):
            problems.append(f"{name}: does not end in a newline")
    return problems


def format(root):
    """.clang-format is obeyed, as version 14 reads it: others differ in details."""
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    known = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout if tool else ""
    if " 14." not in known:
        print("skipped: there is no clang-format 14")
        sys.exit(harness.SKIPPED)
    names = [name for name in tracked(root) if pathlib.Path(name).suffix in (".hpp", ".cpp", ".cuh", ".cu")]
    problems = []
    for name in names:
        result = subprocess.run([tool, "--dry-run", "--Werror", root / name], capture_output=True, text=True)
        if result.returncode != 0:
            problems.append(f"{name}: `./run format` changes it: {result.stderr.splitlines()[0]}")
    return problems


# Functions of the language's headers that are no operations: what other headers use, calls and derivatives.
NO_OPERATIONS = "assign bits_of call carry each emit grad jvp keyed path_of_leaf repeat value_and_grad vjp".split()


def public_functions(text):
    """Names of the functions that a header of the language gives its users: those of namespace flame itself."""
    names, depth = [], 0
    text = re.sub(r"^#define (.*\\\n)*.*\n", "", text, flags=re.MULTILINE)
    for line in text.splitlines():
        code = line.partition("//")[0]
        if depth == 1:
            names += re.findall(r"constexpr [\w:<>, ]+ (\w+)\(", code)
            names += re.findall(r"^FLAME_(?:UNARY|BINARY|REDUCTION|GATED|RESIZED)\((\w+)", code)
        depth += code.count("{") - code.count("}")
    return set(names) - set(NO_OPERATIONS)


def operations(root):
    """docs/operations.md names every function of the headers behind language.hpp, and none that is not there."""
    page = root / "docs" / "operations.md"
    if not page.is_file():
        return ["docs/operations.md: is not there"]
    found = set()
    for name, path in headers(root).items():
        if re.match(r"(expr|diffusion|nn)/", name):
            functions = public_functions(path.read_text())
            found |= functions & {"flatten"} if name.startswith("nn/") else functions
    shown = page.read_text().partition("\n## From PyTorch")[0]
    spans = re.findall(r"`([^`]+)`", shown)
    named = {match for span in spans for match in re.findall(r"(?<![\w.])([a-z]\w*)(?:<[^`]*?>)?\(", span)}
    alone = {span for span in spans if re.fullmatch(r"[a-z]\w*", span)}
    return [f"docs/operations.md: does not name {name}()" for name in sorted(found - named - alone)] + \
        [f"docs/operations.md: there is no {name}() in include/flame/expr" for name in sorted(named - found)]


CHECKS = {"floors": floors, "layout": layout, "headers": opening, "text": text, "operations": operations, "format": format}

if __name__ == "__main__":
    root = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else harness.ROOT
    harness.finish(CHECKS[sys.argv[1]](root))
