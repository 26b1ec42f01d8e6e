"""Speed and memory of the kernels and blocks, measured beside what people would use instead.

`python -m benchmarks --help` from the root of the repository says how. Only this package imports the peers.
"""

import os

# Read when torch loads its threads: with active waiting they take the cores from the compiled kernels' own threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
