"""Runs a Python check of parity/, or skips it: a line `# needs: torch numpy` names the modules without which it cannot run."""
import importlib.util
import pathlib
import re
import runpy
import sys

import harness

script = pathlib.Path(sys.argv[1])
needed = re.findall(r"^# needs: *(.*)$", script.read_text(), re.MULTILINE)
missing = [name for line in needed for name in line.split() if importlib.util.find_spec(name) is None]
if missing:
    print(f"skipped: no Python module {', '.join(missing)}")
    sys.exit(harness.SKIPPED)
sys.argv = sys.argv[1:]
sys.path.insert(0, str(script.parent))
runpy.run_path(str(script), run_name="__main__")
