"""cost.self: the measurement of compile cost can fail: too slow, too large, missing, broken, slower than another row."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness
import measure

SOURCE = "tests/cost/reference.cpp"


class Cost(unittest.TestCase):
    def problems(self, *lines):
        toolchain = harness.Toolchain()
        if not toolchain.compiler("g++"):
            self.skipTest("there is no g++")
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            path = pathlib.Path(folder) / "limits.tsv"
            path.write_text("# a comment\n\n" + "\n".join(lines) + "\n")
            return "\n".join(measure.measure(path, toolchain))

    def test_good(self):
        self.assertEqual(self.problems(f"one\t{SOURCE}\tg++\tsyntax\t600\t9000",
                                       f"two\t{SOURCE}\tg++\t-O0 native\t100*one\t9000"), "")

    def test_too_slow(self):
        self.assertIn("the limit is 0.00 s", self.problems(f"one\t{SOURCE}\tg++\tsyntax\t0.001\t9000"))

    def test_too_large(self):
        self.assertIn("the limit is 1 MB", self.problems(f"one\t{SOURCE}\tg++\tsyntax\t600\t1"))

    def test_slower_than_another_row(self):
        self.assertIn("two: ", self.problems(f"one\t{SOURCE}\tg++\tsyntax\t600\t9000",
                                             f"two\t{SOURCE}\tg++\t-O2\t0.01*one\t9000"))

    def test_missing_source(self):
        self.assertIn("there is no tests/cost/missing.cpp", self.problems("one\ttests/cost/missing.cpp\tg++\tsyntax\t9\t9"))

    def test_missing_base(self):
        self.assertIn("no row zero", self.problems(f"one\t{SOURCE}\tg++\tsyntax\t2*zero\t9000"))

    def test_broken_source(self):
        self.assertIn("does not compile", self.problems(f"one\t{SOURCE}\tg++\tsyntax -Dmain=\t600\t9000"))

    def test_bad_row(self):
        with self.assertRaises(SystemExit):
            self.problems("one two three")


if __name__ == "__main__":
    unittest.main()
