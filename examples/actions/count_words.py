"""Counts words: reads input.json, writes output.json."""

import json
import re
from collections import Counter
from pathlib import Path

text = json.loads(Path("input.json").read_text(encoding="utf-8"))["text"]
words = re.findall(r"\w+", text.lower())
found = {"words": len(words), "most": Counter(words).most_common(10)}
Path("output.json").write_text(json.dumps(found), encoding="utf-8")
