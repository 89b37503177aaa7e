"""Opens a graph of usearch as a view of a file and searches it, as a new process does."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from usearch.index import Index

file, queries = Path(sys.argv[1]), np.load(sys.argv[2])
start = time.perf_counter()
index = Index.restore(file, view=True)
index.expansion_search = 256
opened = (time.perf_counter() - start) * 1e3
times = []
for query in queries:
    start = time.perf_counter()
    index.search(query, 10)
    times.append((time.perf_counter() - start) * 1e3)
print(json.dumps({"open_ms": opened, "query_ms": times}))
