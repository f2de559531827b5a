"""Where PyTorch is missing."""

import subprocess
import sys

SCRIPT = """
import sys

sys.modules["torch"] = None  # what an import of it finds
import conslaw

try:
    conslaw.from_torch(None)
except conslaw.ConslawError as error:
    assert "pip install 'conslaw[torch]'" in str(error)
else:
    raise SystemExit("from_torch")
"""


def test_it_says_what_is_missing():
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr + answer.stdout
