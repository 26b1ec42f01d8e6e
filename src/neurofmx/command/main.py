"""The command line: `neurofmx config ...`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from neurofmx.atomic import atomic
from neurofmx.command import show
from neurofmx.command.commented import plain, read
from neurofmx.command.document import DOCUMENT, document
from neurofmx.command.edit import edit
from neurofmx.command.file import ParamsFile
from neurofmx.command.settings import GROUPS
from neurofmx.command.values import of_text
from neurofmx.tables import pick

EXAMPLES = """examples:
  neurofmx config show                    all values; a star marks what differs from its default
  neurofmx config show spiking            a group with its help
  neurofmx config show beta               everything about one, by key or by name
  neurofmx config set model.integration_mode=parallel train.learning_rate=1e-4
  neurofmx config set --dry-run head.pool=last    check values together, write nothing
  neurofmx config edit training           walk through a group; without a name through all
  neurofmx config save mine.yaml model    a section into a file, with its comments
  neurofmx config load configs/small.yaml
  neurofmx config validate configs/demo.yaml
  neurofmx config names vocab_size        where a parameter of the description stands
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status, 0 when all went well."""
    given = _parser().parse_args(arguments)
    try:
        status = given.verb(given)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `neurofmx config show | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    plain_text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "neurofmx", description="What users type beside dvc.", epilog=EXAMPLES, formatter_class=plain_text
    )
    config = parser.add_subparsers(required=True, dest="COMMAND").add_parser(
        "config",
        help="show, check and change params.yaml",
        description="Show, check and change params.yaml. Whatever is wrong is refused, and then nothing is written.",
        epilog=EXAMPLES,
        formatter_class=plain_text,
    )
    config.add_argument("--params", type=Path, default=Path("params.yaml"), help="the file, default params.yaml")
    verbs = config.add_subparsers(required=True, dest="VERB")  # without metavar the usage line lists them
    for name, (verb, text, *options) in VERBS.items():
        each = verbs.add_parser(name, help=text, description=text)
        each.set_defaults(verb=verb)
        for option, how in options:
            each.add_argument(option, **how)
    return parser


def _show(given: argparse.Namespace) -> int:
    file = ParamsFile(given.params)
    print(show.shown(file, given.name) if given.name else show.overview(file))
    return 0


def _names(given: argparse.Namespace) -> int:
    print(show.index(given.name))
    return 0


def _validate(given: argparse.Namespace) -> int:
    """A whole file alone, one with some sections as it would be loaded."""
    chosen = given.file or given.params
    tree = plain(read(chosen))
    whole = {"datasets", "model", "models", "run"} <= set(tree)
    file = ParamsFile(chosen if whole else given.params)
    if not whole:
        file.load(tree)
    if found := file.problems():
        raise ValueError("\n  ".join([f"{chosen}:", *found]))
    print(f"{chosen} is valid" + ("" if whole else f" with the other sections of {given.params}"))
    if found := file.unrunnable():
        print("\n  ".join(["These suites cannot be run from it as they stand:", *found]))
    return 0


def _save(given: argparse.Namespace) -> int:
    file = ParamsFile(given.params)
    if found := file.problems():
        raise ValueError("\n  ".join([f"{given.params} is not valid, so it is not saved:", *found]))
    if given.file.exists() and not given.force:
        raise FileExistsError(f"{given.file} is there already: name another file, or add --force to replace it")
    text = file.part(given.sections)
    with atomic(given.file) as part:
        part.write_text(text, encoding="utf-8")
    print(f"{given.file} is written")
    return 0


def _load(given: argparse.Namespace) -> int:
    return _changed(given, lambda file: file.load(plain(read(given.file))))


def _set(given: argparse.Namespace) -> int:
    def change(file: ParamsFile) -> None:
        for assignment in given.assignments:
            key, sign, text = assignment.partition("=")
            if not sign:
                raise ValueError(f"{assignment!r}: write KEY=VALUE, such as train.learning_rate=1e-4")
            file.set(file.find(key), of_text(text))

    return _changed(given, change, dry_run=given.dry_run)


def _changed(given: argparse.Namespace, change: Callable[[ParamsFile], None], *, dry_run: bool = False) -> int:
    """Change the file, write it if it is right and this is no dry run, and say what is new."""
    file = ParamsFile(given.params)
    before = file.tree
    change(file)
    lines = show.changes(before, file.tree)
    if dry_run:
        file.check()
    elif lines:
        file.write()
    print("\n".join(lines or ["nothing changes"]))
    if dry_run:
        print(f"dry run: this can be built; nothing is written, {given.params} stays as it was")
    return 0


def _edit(given: argparse.Namespace) -> int:
    for name in given.groups:
        pick(GROUPS, name, "group")
    try:
        edit(ParamsFile(given.params), groups=given.groups or None)
    except (EOFError, KeyboardInterrupt):
        print(f"\n{given.params} stays as it was.", file=sys.stderr)
        return 1
    return 0


def _docs(given: argparse.Namespace) -> int:
    with atomic(given.file) as part:
        part.write_text(document(), encoding="utf-8")
    print(f"{given.file} is written")
    return 0


VERBS = {
    "show": (
        _show,
        "all values, a group, a section or one setting",
        ("name", {"nargs": "?", "metavar": "GROUP|KEY", "help": f"one of {', '.join(GROUPS)}; or a key"}),
    ),
    "names": (
        _names,
        "where each parameter of the network's description stands",
        ("name", {"nargs": "?", "metavar": "NAME", "help": "e.g. vocab_size"}),
    ),
    "validate": (
        _validate,
        "say what is wrong with params.yaml, or with a saved file",
        ("file", {"nargs": "?", "type": Path, "metavar": "FILE", "help": "default params.yaml"}),
    ),
    "save": (
        _save,
        "write params.yaml, or some sections of it, to a file",
        ("file", {"type": Path, "metavar": "FILE", "help": "where to"}),
        ("sections", {"nargs": "*", "metavar": "SECTION", "help": "e.g. model train; default all"}),
        ("--force", {"action": "store_true", "help": "replace a file that is there"}),
    ),
    "load": (
        _load,
        "take a file's sections over; each replaces that of params.yaml, of datasets, models and suites those it names",
        ("file", {"type": Path, "metavar": "FILE", "help": "what `save` wrote, or one of configs/"}),
    ),
    "set": (
        _set,
        "change values; what is wrong is refused, and then none is changed",
        ("assignments", {"nargs": "+", "metavar": "KEY=VALUE", "help": "values as in YAML: 3, 1e-4, null, [1, 2]"}),
        ("--dry-run", {"action": "store_true", "help": "check the values together, and write nothing"}),
    ),
    "edit": (
        _edit,
        "walk through the settings at the terminal; written only at the end",
        ("groups", {"nargs": "*", "metavar": "GROUP", "help": f"of {', '.join(GROUPS)}; default all"}),
    ),
    "docs": (
        _docs,
        "write the page of all parameters",
        ("file", {"nargs": "?", "type": Path, "default": DOCUMENT, "metavar": "FILE", "help": f"default {DOCUMENT}"}),
    ),
}
