"""Ends with 0 where output.json counts what stands in input.json, by another way of counting."""

import json
import sys
from pathlib import Path

text = json.loads(Path("input.json").read_text(encoding="utf-8"))["text"]
said = json.loads(Path("output.json").read_text(encoding="utf-8"))["words"]
counted = len("".join(sign if sign.isalnum() or sign == "_" else " " for sign in text).split())
if said != counted:
    sys.exit(f"There are {counted} words, and the output says {said}.")
