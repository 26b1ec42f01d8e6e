"""Walk through the settings at a terminal: each answer is checked at once, and nothing is written before the end."""

from __future__ import annotations

from collections.abc import Callable

from neurofmx.command.file import ParamsFile
from neurofmx.command.settings import GROUPS, Setting
from neurofmx.command.show import changes, of_the_run, setting
from neurofmx.command.values import as_yaml, of_text

Ask = Callable[[str], str]
Say = Callable[[str], None]

HELP = """Enter keeps a value. Other answers:
  VALUE    as in params.yaml: 3, 1e-4, true, null, [3, 3], parallel
  default  what it is if nothing is said
  <        back to the setting before
  s        skip the rest of this group
  q        to the end, where you choose whether to write
  ?        this help"""


class Stop(Exception):
    """The user wants to go to the end."""


def edit(file: ParamsFile, *, groups: list[str] | None = None, ask: Ask = input, say: Say = print) -> bool:
    """Ask for the settings of some groups, then whether to write.

    Args:
        file: What to change.
        groups: Keys of `GROUPS`, default all that have settings here.
        ask: Shows a prompt and returns the answer; raises EOFError where there is none.
        say: Shows a line.

    Returns:
        Whether the file was written.

    Raises:
        EOFError: If the answers end before the question whether to write; nothing is written.
    """
    before = file.tree
    say(HELP)
    try:
        for name in groups or list(GROUPS):
            _group(file, name, ask, say)
    except Stop:
        pass
    return _end(file, changes(before, file.tree), ask, say)


def _group(file: ParamsFile, name: str, ask: Ask, say: Say) -> None:
    """The settings of a group in their order."""
    members = of_the_run(file, [each for each in file.settings.values() if each.group == name])
    if not members:
        return
    say(f"\n== {name}: {GROUPS[name]} ({len(members)} settings)")
    answer = ask("walk through it? [Y/n/q] ").strip().lower()
    if answer.startswith("q"):
        raise Stop
    if answer.startswith("n"):
        return
    place = 0
    while place < len(members):
        step = _setting(file, members[place], ask, say)
        if step is None:
            return
        place = max(0, place + step)


def _setting(file: ParamsFile, one: Setting, ask: Ask, say: Say) -> int | None:
    """Ask for one setting until the answer can be taken; how far to go on, None for the end of the group."""
    say("\n" + setting(file, one))
    while True:
        answer = ask(f"{one.key} [{as_yaml(file.value(one.key))}]: ").strip()
        if answer == "?":
            say(HELP)
        elif answer in ("", "<", "s"):
            return {"": 1, "<": -1, "s": None}[answer]
        elif answer == "q":
            raise Stop
        elif _taken(file, one, answer, say):
            return 1


def _taken(file: ParamsFile, one: Setting, answer: str, say: Say) -> bool:
    """Take an answer over if its own rules allow it; rules between settings may wait until the end."""
    before, known = file.copied(), set(file.problems())
    try:
        value = one.default if answer == "default" else of_text(answer)
    except ValueError as error:
        say(f"  {error}")
        return False
    file.set(one.key, list(value) if isinstance(value, tuple) else value)
    new = [problem for problem in file.problems() if problem not in known]
    own = [problem for problem in new if problem.startswith((f"{one.key}=", f"{one.key}.", f"{one.key}:"))]
    if own:
        file.restore(before)
    for problem in own or new:
        say(f"  {problem}" if own else f"  for now: {problem}")
    return not own


def _end(file: ParamsFile, changed: list[str], ask: Ask, say: Say) -> bool:
    """Show what is new, refuse what cannot be, and ask whether to write."""
    if not changed:
        say("\nNothing changed.")
        return False
    say("\n".join(["", "Changed:", *(f"  {line}" for line in changed)]))
    while found := file.problems():
        say("\n".join(["This cannot be written yet:", *(f"  {problem}" for problem in found)]))
        answer = ask("KEY=VALUE to mend it, or q to leave the file as it was: ").strip()
        if answer == "q":
            return False
        _mend(file, answer, say)
    if not ask(f"write {file.path}? [y/N] ").strip().lower().startswith("y"):
        say("Nothing was written.")
        return False
    file.write()
    say(f"{file.path} is written.")
    return True


def _mend(file: ParamsFile, answer: str, say: Say) -> None:
    key, sign, text = answer.partition("=")
    try:
        if not sign:
            raise ValueError(f"{answer!r}: write KEY=VALUE, such as model.num_gate_heads=4")
        file.set(file.find(key.strip()), of_text(text))
    except ValueError as error:
        say(f"  {error}")
