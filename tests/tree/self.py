"""tree.self: the checks of the tree can fail, each for what it forbids, and pass a small tree that keeps the rules."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import check

GOOD = {
    "CMakeLists.txt": "project(small)\n",
    "include/flame/base/text.hpp": "// Text.\n#pragma once\n#include <string>\n",
    "include/flame/type/shape.hpp": "// Shapes.\n#pragma once\n#include <flame/base/text.hpp>\n",
    "include/flame/run/tensor.hpp": "// Tensors.\n#pragma once\n#include <flame/type/shape.hpp>\n",
    "include/flame/run/host/product.hpp": "// Products.\n#pragma once\n#include <flame/run/tensor.hpp>\n",
    "include/flame/run/eigen.hpp": "// Maps.\n#pragma once\n#include <flame/run/tensor.hpp>\n#include <Eigen/Core>\n",
    "include/flame/language.hpp": "// Language.\n#pragma once\n#include <flame/type/shape.hpp>\n",
    "tests/base/text.cpp": "int i;\n",
}


class Tree(unittest.TestCase):
    def problems(self, name, **changes):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in {**GOOD, **{key.replace("__", "/") + suffix: text for key, (suffix, text) in changes.items()}}.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            with contextlib.redirect_stdout(io.StringIO()):
                return "\n".join(check.CHECKS[name](root))

    def refuses(self, name, path, text, words):
        with self.subTest(path=path, text=text):
            stem, _, suffix = path.rpartition(".")
            self.assertIn(words, self.problems(name, **{stem.replace("/", "__"): ("." + suffix, text)}))

    def test_good(self):
        for name in ("floors", "layout", "headers", "text"):
            self.assertEqual(self.problems(name), "", name)

    def test_floors(self):
        def header(line):
            return f"// A header.\n#pragma once\n{line}\n"

        for path, line, words in [
            ("include/flame/base/text.hpp", "#include <flame/type/shape.hpp>", "is below type/"),
            ("include/flame/base/other.hpp", "#include <flame/base/missing.hpp>", "there is no"),
            ("include/flame/base/other.hpp", '#include "text.hpp"', "quotes"),
            ("include/flame/cellar/other.hpp", "", "is no floor"),
            ("include/flame/plan/other.hpp", "#include <boost/hana.hpp>", "belongs in"),
            ("include/flame/graph/other.hpp", "#include <Eigen/Core>", "belongs in run/eigen.hpp"),
            ("include/flame/run/host/other.hpp", "#include <Eigen/Core>", "belongs in run/eigen.hpp"),
            ("include/flame/nn/other.hpp", "#include <flame/run/eigen.hpp>", "no header includes it"),
            ("include/flame/run/host/other.hpp", "#include <zlib.h>", "belongs in io"),
            ("include/flame/nn/other.hpp", "#include <doctest/doctest.h>", "no header"),
            ("include/flame/nn/other.hpp", "#  include  <cuda_runtime.h>", "run/cuda"),
            ("include/flame/run/cuda/other.hpp", "#include <cublasLt.h>", "belongs in run/cuda/blas.hpp"),
            ("include/flame/run/cuda/other.hpp", "#include <cudnn.h>", "belongs in run/cuda/dnn_descriptor.hpp"),
            ("include/flame/run/other.hpp", "#include <flame/run/host/product.hpp>", "backend host"),
            ("include/flame/run/other.hpp", "#include <flame/language.hpp>", "umbrella"),
            ("include/flame/language.hpp", "#include <flame/run/tensor.hpp>", "does not include run/"),
        ]:
            self.refuses("floors", path, header(line), words)

    def test_cycle(self):
        one = ("include/flame/base/one.hpp", "#include <flame/base/two.hpp>\n")
        two = ("include/flame/base/two.hpp", "#include <flame/base/one.hpp>\n")
        found = self.problems("floors", include__flame__base__one=(".hpp", one[1]), include__flame__base__two=(".hpp", two[1]))
        self.assertIn("include each other", found)

    def test_layout(self):
        self.refuses("layout", "notes.txt", "text\n", "top level")
        self.refuses("layout", "tests/misc/one.cpp", "int i;\n", "no test is looked for")
        self.refuses("layout", "include/flame/base/one.cpp", "int i;\n", "include/ holds")
        self.refuses("layout", "include/other/one.hpp", "int i;\n", "include/flame/")

    def test_headers(self):
        self.refuses("headers", "include/flame/base/text.hpp", "#pragma once\n", "begins with a comment")
        self.refuses("headers", "include/flame/base/text.hpp", "// Text.\nint i;\n", "#pragma once")
        self.refuses("headers", "include/flame/base/text.hpp", "// Text.\n#pragma once\nnamespace flame {\nusing namespace std;\n}\n", "using namespace")
        self.refuses("headers", "include/flame/base/text.hpp", "// Text.\n#pragma once\nusing namespace flame;\n", "using namespace")

    def test_text(self):
        slash = "/"
        self.refuses("text", "docs/page.md", f"see {slash}home/someone/file\n", "one machine")
        self.refuses("text", "docs/page.md", f"see http:{slash}/example.net/file\n", "links to example.net")
        self.refuses("text", "tests/base/text.cpp", "int i;", "newline")

    def test_operations(self):
        header = ("// Sums.\n#pragma once\nnamespace flame {\nnamespace detail {\nconstexpr auto inner(int x) { return x; }\n}\n"
                  "#define FLAME_UNARY(name) \\\n  constexpr auto name(int x) { return x; }\nFLAME_UNARY(sine)\n"
                  "template <class A>\nconstexpr auto total(const A& x) {\n  return inner(x);\n}\n}  // namespace flame\n")

        def page(text):
            return self.problems("operations", include__flame__expr__sums=(".hpp", header), docs__operations=(".md", text))

        self.assertIn("is not there", self.problems("operations"))
        self.assertEqual(page("| `total(x, axes...)` |\n| `sine(x)` |\n"), "")
        self.assertIn("does not name total()", page("`sine(x)`\n"))
        self.assertIn("does not name sine()", page("`total<n>(x)`\n"))
        self.assertIn("there is no inner()", page("`total(x)`, `sine(x)`, `inner(x)`\n"))


if __name__ == "__main__":
    unittest.main()
