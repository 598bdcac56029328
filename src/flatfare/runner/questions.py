"""How verifiers that ask a model do it: through the gateway, as verification of the task they judge."""

import asyncio
from dataclasses import replace
from decimal import Decimal

from flatfare.core.action import Answer, Rung
from flatfare.core.checks.question import NoReply, Question, Reply
from flatfare.core.money import decimal_text
from flatfare.core.path import Rung as Model
from flatfare.runner.models import Made, Models, Prompt, Unanswered
from flatfare.runner.working import Work
from flatfare.verifiers.kinds import Means

VERIFICATION = "verification"


def asker(work: Work, made: list[Made], loop: asyncio.AbstractEventLoop, models: Models) -> Means:
    """The means of verifiers of one attempt; they work in threads, and their calls are added to ``made``."""
    purpose = VERIFICATION if work.whose.purpose == "work" else work.whose.purpose
    whose = replace(work.whose, purpose=purpose)

    def ask(question: Question) -> Reply:
        temperature = None if question.temperature is None else Decimal(question.temperature)
        rung = Rung(
            "judge",
            Model(question.model, question.provider),
            output_tokens=question.tokens_max,
            seconds=question.seconds,
            answer=Answer.TOOL,
            temperature=temperature,
        )
        prompt = Prompt(
            question.text, question.instructions, question.schema, output_tokens=question.tokens_max
        )
        own: list[Made] = []
        future = asyncio.run_coroutine_threadsafe(
            models.ask(rung, prompt, whose, own, question.seconds), loop
        )
        try:
            text = future.result()
        except Unanswered as problem:
            raise NoReply(problem.reason) from None
        finally:
            made.extend(own)
        cost_nano = own[-1].cost_nano if own else None
        return Reply(
            text,
            question.model,
            decimal_text(cost_nano),
            own[-1].id if own else None,
        )

    producers = () if work.rung is None else (work.rung.model.model,)
    return Means(ask, producers)
