"""`dotdo.ai`: what a language model writes, as data that is checked and, in an execution, paid for once.

    post = await ai.generate(prompt="A post about lamps", schema=BlogPost, model="openai:gpt-5")
    text = await ai.generate("product-announcement", product=product)
    screening = await ai.analyze("content-safety", content=content)
    next_ = await ai.recommend(type=N.Feature, for_=person, strategy="most-relevant")

In the body of an execution each call is a step: a replay gets the recorded answer, and no model is asked again. The models
are pydantic-ai's (`pip install dotdo[ai]`), so is the check of what they answer.
"""

from dotdo.ai.answers import Analysis, ContentSafety, Recommendation, TicketComplexity
from dotdo.ai.asking import analyze, generate, recommend
from dotdo.ai.choice import configure
from dotdo.ai.templates import template
from dotdo.ai.usage import Usage, usage

__all__ = [
    "Analysis", "ContentSafety", "Recommendation", "TicketComplexity", "Usage", "analyze", "configure", "generate", "recommend",
    "template", "usage",
]  # fmt: skip
