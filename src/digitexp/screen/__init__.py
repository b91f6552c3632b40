"""What a person sees in the terminal: the plan before, the progress during, the ranked table after."""

from digitexp.screen.console import say
from digitexp.screen.outcome import show_outcome
from digitexp.screen.plan import show_difference, show_plan
from digitexp.screen.progress import Progress
from digitexp.screen.verbs import (
    doing,
    show_address,
    show_again,
    show_drawing_page,
    show_error,
    show_explored,
    show_findings,
    show_help,
    show_interrupted,
    show_promoted,
    show_reading,
    show_report,
    show_submission,
    show_training,
)

__all__ = [
    "Progress", "doing", "say", "show_address", "show_again", "show_difference", "show_drawing_page", "show_error",
    "show_explored", "show_findings", "show_help", "show_interrupted", "show_outcome", "show_plan", "show_promoted",
    "show_reading", "show_report", "show_submission", "show_training",
]  # fmt: skip
