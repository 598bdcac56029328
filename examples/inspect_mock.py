"""Make an evaluation log of Inspect AI with its mock model: no account, no network, no cost.

pip install inspect-ai
python examples/inspect_mock.py logs
flatfare prices add mockllm/model --input 2 --output 8
flatfare import inspect logs/*.eval
flatfare report
"""

import itertools
import sys
from collections.abc import Iterator

from inspect_ai import Epochs, Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes

QUESTIONS = [("2 + 2", "4"), ("2 + 3", "5"), ("7 - 1", "6"), ("3 * 3", "9"), ("8 / 2", "4")]
ANSWERS = ["4", "5", "6", "9", "I do not know"]


def outputs() -> Iterator[ModelOutput]:
    """What the mock model says, with the tokens that a model would have used."""
    for number, answer in enumerate(itertools.cycle(ANSWERS)):
        output = ModelOutput.from_content("mockllm/model", answer)
        spent = 120 + 7 * (number % 5)
        output.usage = ModelUsage(input_tokens=spent, output_tokens=20, total_tokens=spent + 20)
        yield output


def main(folder: str) -> None:
    """Ask each question in three epochs and write the log."""
    task = Task(
        name="sums",
        dataset=[Sample(input=question, target=answer) for question, answer in QUESTIONS],
        scorer=includes(),
        epochs=Epochs(3, "mean"),
    )
    said = list(itertools.islice(outputs(), 3 * len(QUESTIONS)))
    model = get_model("mockllm/model", custom_outputs=said)
    (log,) = evaluate(task, model=model, log_dir=folder, display="none", max_samples=1)
    print(log.location)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "logs")
