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

NUMBERED = """// error 1: the last axis of a must be the first of b
// names 1: columns
// error 2: the last axis of a must be the first of b
// names 2: rows
struct columns {};
struct rows {};
template <class T> struct matmul {
  static_assert(sizeof(T) == 0, "flame::matmul(a, b): the last axis of a must be the first of b");
};
#if MUST_FAIL == 1
matmul<columns> product;
#elif MUST_FAIL == 2
matmul<rows> product;
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

    def test_numbered(self):
        self.assertEqual(self.problems(NUMBERED), [])

    def test_numbered_case_that_compiles(self):
        text = NUMBERED.replace("#elif MUST_FAIL == 2\nmatmul<rows>", "#elif MUST_FAIL == 2\nrows")
        self.assertIn("case 2, must not compile", self.problems(text)[0])

    def test_numbered_case_with_other_words(self):
        self.assertIn("somewhere: rows", self.problems(NUMBERED.replace("matmul<rows>", "matmul<columns>"))[0])

    def test_number_that_is_left_out(self):
        self.assertIn("without a gap", self.problems(NUMBERED.replace("error 2", "error 3"))[0])
        self.assertIn("without a gap", self.problems(NUMBERED.replace("MUST_FAIL == 2", "MUST_FAIL == 4"))[0])

    def test_file_without_words(self):
        self.assertIn("no line", self.problems(GOOD.replace("// error:", "// words:"))[0])


if __name__ == "__main__":
    unittest.main()
