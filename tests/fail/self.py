"""fail.self: the check of programs that must fail can itself fail, for each reason that it gives."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import check
import harness

GOOD = """// error: the last axis of a must be the first of b
// names: columns
struct columns {};
template <class T> struct matmul {
  static_assert(sizeof(T) == 0, "flame::matmul(a, b): the last axis of a must be the first of b");
};
#ifdef MUST_FAIL
matmul<columns> product;
#else
columns product;
#endif
"""


class Check(unittest.TestCase):
    def problems(self, text):
        toolchain = harness.Toolchain()
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "case.cpp"
            source.write_text(text)
            return [p for name, _ in toolchain.compilers() for p in check.check(source, name, toolchain)]

    def test_good(self):
        self.assertEqual(self.problems(GOOD), [])

    def test_program_that_compiles(self):
        self.assertIn("must not compile", self.problems(GOOD.replace("matmul<columns> product", "columns p"))[0])

    def test_twin_that_does_not_compile(self):
        self.assertIn("must compile", self.problems(GOOD.replace("\ncolumns product", "\nmatmul<columns> p"))[0])

    def test_twin_that_warns(self):
        self.assertIn("must compile", self.problems(GOOD.replace("\ncolumns product", "\nint warned = 2.5"))[0])

    def test_other_error_comes_first(self):
        text = GOOD.replace("#ifdef MUST_FAIL", "#ifdef MUST_FAIL\nint i = \"text\";")
        self.assertIn("first error line", self.problems(text)[0])

    def test_words_that_are_missing(self):
        self.assertIn("somewhere", self.problems(GOOD.replace("names: columns", "names: channels"))[0])

    def test_file_without_words(self):
        self.assertIn("no line", self.problems(GOOD.replace("// error:", "// words:"))[0])


if __name__ == "__main__":
    unittest.main()
