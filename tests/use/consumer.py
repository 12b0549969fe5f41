"""use.find_package, use.add_subdirectory, use.fetch_content: a project that is not ours uses the package, and runs."""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

way = sys.argv[1]
toolchain = harness.Toolchain()
problems = []


def step(words, command):
    result = harness.run(command)
    if result.code != 0:
        problems.append(f"{words}:\n{harness.short(result.output)}")
        harness.finish(problems)
    return result


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    common = ["-G", toolchain.values["generator"], f"-DCMAKE_CXX_COMPILER={toolchain.cxx}"]
    options = common + [f"-DFLAME_WAY={way}", f"-DFLAME_SOURCE={harness.ROOT}", "-DCMAKE_BUILD_TYPE="]
    if way == "find_package":
        # Installed from a build without tests, as a packager would; only the prefix is known to the consumer.
        step("configuring flame", [toolchain.cmake, "-S", harness.ROOT, "-B", folder / "flame", "-DFLAME_TESTS=OFF", "-DFLAME_KERNELS=OFF",
             "-DFLAME_EXAMPLES=OFF", "-DFLAME_BENCH=OFF", *common, f"-DCMAKE_INSTALL_PREFIX={folder / 'prefix'}"])
        step("installing flame", [toolchain.cmake, "--install", folder / "flame"])
        installed = sorted(str(path.relative_to(folder / "prefix/include")) for path in
                           (folder / "prefix/include").rglob("*.hpp"))
        if installed != harness.headers():
            problems.append(f"installed headers differ from the tree's: {set(installed) ^ set(harness.headers())}")
        for file in (folder / "prefix").rglob("*.cmake"):
            if re.search(rf"(?<![\w./}}])({harness.ROOT}|{folder})\b", file.read_text()):
                problems.append(f"{file.name} names a folder of the machine that built it")
        options.append(f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}")

    step("configuring the consumer", [toolchain.cmake, "-S", harness.ROOT / "tests/use/consumer", "-B",
                                      folder / "build", *options])
    step("building the consumer", [toolchain.cmake, "--build", folder / "build", "--verbose"])
    result = step("running the consumer", [folder / "build" / "consumer"])
    print(result.output, end="")

    version = re.findall(r"#define FLAME_VERSION_\w+ (\d+)", (harness.ROOT / "include/flame/version.hpp").read_text())
    if ".".join(version) not in result.output:
        problems.append(f"the consumer was built with another version than {'.'.join(version)}: {result.output}")
harness.finish(problems)
