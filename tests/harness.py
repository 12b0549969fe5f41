"""What the checks written in Python share: the toolchain of a build, the floors, running a compiler, reporting."""
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

# Lowest first; a header includes its own floor and those before it.
FLOORS = ("base type graph pass expr plan run nn optim io data train parallel diffusion model").split()
# Floors that need no Eigen, no CUDA and no Hana, and that nvcc takes.
LANGUAGE_FLOORS = FLOORS[: FLOORS.index("plan") + 1]

EIGEN_HEADER = "flame/run/eigen.hpp"  # the one header that needs Eigen; no other includes it

CUDA_FOLDER = "flame/run/cuda/"  # headers that need CUDA's

SKIPPED = 77  # the exit status that ctest reads as "skipped"

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Toolchain:
    """What CMake found, from the file that FLAME_TOOLCHAIN names; without it, what lies on PATH."""

    def __init__(self):
        from shutil import which

        values = {}
        if path := os.environ.get("FLAME_TOOLCHAIN"):
            for line in pathlib.Path(path).read_text().splitlines():
                key, _, value = line.partition("\t")
                values[key] = value
        else:
            for name in ("g++", "clang++", "nvcc", "cmake"):
                values[name] = which(name) or ""
            values["generator"] = "Ninja" if which("ninja") else "Unix Makefiles"
            values["cxx"] = values["g++"] or values["clang++"]
            values["includes"] = "/usr/include/eigen3"
            values["eigen"] = "yes" if pathlib.Path("/usr/include/eigen3").is_dir() else ""
            values["cuda"] = ""
            values["warnings"] = "-Wall;-Wextra;-Wconversion;-Wshadow"
        self.values = values
        self.cmake = values["cmake"]
        self.cxx = values["cxx"]
        self.warnings = values["warnings"].split(";")
        # /usr/include is searched anyway, and named with -isystem it breaks #include_next.
        names = dict.fromkeys(name for name in values["includes"].split(";") if name)
        self.includes = [name for name in names if name != "/usr/include"]
        self.includes += [name for name in values.get("cuda", "").split(";") if name and name not in self.includes]

    def usable(self, headers, cuda=False):
        """Those of some headers whose dependencies are here: Eigen is optional, and one header is for its users; CUDA is
        too, and its headers are for who asks for them. Kernels are no text for a compiler of the host."""
        def has(header):
            if header.startswith(CUDA_FOLDER):
                return cuda and bool(self.values.get("cuda")) and not header.startswith(f"{CUDA_FOLDER}kernel/")
            return header != EIGEN_HEADER or bool(self.values.get("eigen"))

        return [header for header in headers if has(header)]

    def compiler(self, name):
        """The path of g++, clang++ or nvcc; "" where there is none."""
        return self.values.get(name, "")

    def compilers(self, names=("g++", "clang++")):
        """(name, path) of those of the named compilers that there are."""
        return [(name, self.compiler(name)) for name in names if self.compiler(name)]

    def language(self, name):
        """A command that takes floors base to plan: no dependency's include path."""
        command = [self.compiler(name), "-std=c++20", f"-I{ROOT / 'include'}"]
        if name == "nvcc":
            command += ["-x", "cu", f"-ccbin={self.compiler('g++')}"] if self.compiler("g++") else ["-x", "cu"]
        return command

    def everything(self, name):
        """A command that takes every floor."""
        return self.language(name) + [part for folder in self.includes for part in ("-isystem", folder)]


class Result:
    def __init__(self, code, output, seconds, megabytes):
        self.code, self.output, self.seconds, self.megabytes = code, output, seconds, megabytes


def run(command, **options):
    """Runs a command to its end: exit status, both streams as one text, wall seconds, peak memory of any one process."""
    environment = dict(os.environ, LC_ALL="C", **options.pop("environment", {}))
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, **options)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Result(process.returncode, output.read(), seconds, usage.ru_maxrss / 1024)


def directives(path, key):
    """The words of every line `// key: words` of a source."""
    return re.findall(rf"^// {re.escape(key)}: *(.*?) *$", pathlib.Path(path).read_text(), re.MULTILINE)


def headers(floor=None):
    """Headers of a floor, as paths below include/; "umbrella" names those that lie above the floors, None all."""
    top = ROOT / "include" / "flame"
    if floor == "umbrella":
        found = top.glob("*.hpp")
    else:
        found = (top / floor if floor else top).rglob("*.hpp")
    return sorted(str(path.relative_to(ROOT / "include")) for path in found)


def is_language(header):
    """Whether a header (a path below include/) must do without Eigen, CUDA and Hana, and be taken by nvcc."""
    floor = header.split("/")[1]
    return floor in LANGUAGE_FLOORS or floor in ("language.hpp", "version.hpp")


def short(text, lines=40):
    """The beginning of a compiler's output."""
    all_lines = text.splitlines()
    more = f"\n[{len(all_lines) - lines} more lines]" if len(all_lines) > lines else ""
    return "\n".join(all_lines[:lines]) + more


def finish(problems):
    """Prints problems and ends: 1 where there are any, else 0."""
    for problem in problems:
        print(f"FAILED: {problem}")
    sys.exit(1 if problems else 0)
