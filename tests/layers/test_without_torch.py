"""Where PyTorch is missing."""

import subprocess
import sys

SCRIPT = """
import sys

sys.modules["torch"] = None  # what an import of it finds
import conslaw
from conslaw import layers

assert conslaw.count(conslaw.linear([1, 1])) is not None and "HighOrderLinear" in dir(layers)
for name in layers.__all__:
    try:
        getattr(layers, name)
    except conslaw.ConslawError as error:
        assert name in str(error) and "pip install 'conslaw[torch]'" in str(error)
    else:
        raise SystemExit(name)
"""


def test_the_package_works_and_its_layers_say_what_is_missing():
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr + answer.stdout
