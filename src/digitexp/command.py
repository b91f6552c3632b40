"""What was typed: the verb, what it is of, paths among settings, and what a shell may complete."""

import os
import re
import shlex
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

from digitexp import compose
from digitexp.errors import ConfigError, nearest
from digitexp.settings import Config

EXPERIMENTS = "experiments"  # where reports are, in the current folder
# The setting that a word without "=" after the verb is the value of.
SUBJECTS = {"reproduce": "reproduce.run", "promote": "promote.model"}
KINDS = ("audit", "writers")  # of reports, besides that of a sweep


def verb(words: list[str], verbs: Collection[str]) -> str:
    """The verb, taken out of the words; `run` when there is none. Raises ConfigError for a word that is nothing."""
    if words and words[0] in verbs:
        return words.pop(0)
    for word in words if not any(word.startswith("-") for word in words) else ():
        if word in verbs:
            others = [other for other in words if other != word]
            raise ConfigError(f"{word}: the verb comes first; type digitexp {shlex.join([word, *others])}.")
        if "=" not in word and not word.startswith(("-", "~")):
            raise ConfigError(f"{word}: is no verb and no setting; verbs are {', '.join(verbs)}, settings are typed as in "
                              f"training.epochs=3.{nearest(word, verbs)}")  # fmt: skip
    return "run"


def subject(verb: str, words: list[str]) -> list[str]:
    """`reproduce RUN` as `reproduce reproduce.run=RUN`, `report audit` as `report report.audit=true`, `report SWEEP`."""
    if verb == "report" and words and words[0] in KINDS:
        return [f"report.{words[0]}=true", *words[1:]]
    if verb == "report" and words and words[0] in compose.sweeps():
        return [f"+sweep={words[0]}", *words[1:]]
    if verb in SUBJECTS and words and "=" not in words[0] and not words[0].startswith(("-", "+", "~")):
        return [f"{SUBJECTS[verb]}={compose.typed(words[0])}", *words[1:]]
    return words


def paths(words: list[str]) -> list[str]:
    """The paths among the words, taken out of them. What begins like a setting is one: type ./ before a path of such a name.

    A path may hold an equals sign: `a=b.png` is one, since there is no setting `a`.
    """
    starts = {field.name for field in fields(Config)} | set(compose.GROUPS) | {"best", "hydra"}
    found = []
    for word in list(words):
        name, equals, _ = word.lstrip("+~").partition("=")
        setting = re.split(r"[./@]", name)[0] in starts and (equals or word.startswith("~"))
        flag = word.startswith("-") and word != "-"
        if not setting and not flag:
            words.remove(word)
            found.append(word)
    return found


def spelt_out(word: str) -> list[str]:
    """`best=SWEEP` as what Hydra takes: the file that `report` wrote, added to the configuration."""
    if not word.startswith("best="):
        return [word]
    sweep = word.removeprefix("best=")
    if not Path(EXPERIMENTS, sweep, "best.yaml").exists():
        raise ConfigError(
            f"{word}: there is no {EXPERIMENTS}/{sweep}/best.yaml; type digitexp report search.name={sweep} first."
        )
    return [f"--config-dir={EXPERIMENTS}", f"+{sweep}=best"]


def completed(verbs: Collection[str]) -> bool:
    """Print what Hydra's shell completion does not know: verbs, which are taken out of the line, and sweeps in folders.

    False where the rest is Hydra's to complete.
    """
    command, _, rest = os.environ.get("COMP_LINE", "").lstrip().partition(" ")
    first, space, after = rest.lstrip().partition(" ")
    last = rest.rpartition(" ")[2]
    for group, names in (("sweep", compose.sweeps()), ("recipe", compose.recipes())):
        if last.startswith(f"+{group[0]}"):
            print(*(word for name in names if (word := f"+{group}={name}").startswith(last)), sep="\n")
            return True
    if command and not space:
        print(*(verb for verb in verbs if verb.startswith(first)), sep="\n")
    elif first in verbs:
        os.environ["COMP_LINE"] = f"{command} {after}"
    return False
