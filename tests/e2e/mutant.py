"""Builds a program with something taken out of it, for the tests to notice: the product holds no switch for it."""
import json
import os
import shlex
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def command(build, file):
    """The compiler's call for a file of the program, in pieces."""
    with open(os.path.join(build, "compile_commands.json")) as commands:
        for entry in json.load(commands):
            if entry["file"] == os.path.join(ROOT, file):
                return shlex.split(entry["command"])
    raise SystemExit(f"{file} is not in {build}/compile_commands.json")


def link(build):
    lines = subprocess.run(["ninja", "-t", "commands", "pgsteer"], cwd=build, check=True, capture_output=True, text=True).stdout.splitlines()
    return lines[-1].removeprefix(": && ").removesuffix(" && :")


def changed_text(name, file, changes):
    with open(os.path.join(ROOT, file)) as source:
        text = source.read()
    for old, new in changes:
        if text.count(old) != 1:
            raise SystemExit(f"{name}: {file} has {text.count(old)} times: {old}")
        text = text.replace(old, new)
    return text


def make(build, name, file, changes, output, compiled_by=()):
    """Compiles `file` with its `changes`, each (what stands there once, what comes instead), and links it in front of the rest. A header is
    compiled by the files of `compiled_by`, which must be all that use what is changed in it."""
    build = os.path.abspath(build)
    with tempfile.TemporaryDirectory() as scratch:
        place = os.path.join(scratch, "include", file) if compiled_by else os.path.join(scratch, os.path.basename(file))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w") as target:
            target.write(changed_text(name, file, changes))
        objects = []
        for number, source in enumerate(compiled_by or [file]):
            call = command(build, source)
            objects.append(os.path.join(scratch, f"{number}.o"))
            call[call.index("-o") + 1] = objects[-1]
            if compiled_by:
                call.insert(next(i for i, piece in enumerate(call) if piece.startswith("-I")), "-I" + os.path.join(scratch, "include"))
            else:
                call[-1] = place
            subprocess.run([piece for piece in call if piece != "-Werror"], cwd=build, check=True)
        # An object named before the libraries is taken instead of theirs.
        linking = shlex.split(link(build))
        linking[linking.index("-o") + 1] = os.path.abspath(output)
        linking[linking.index("-o"):linking.index("-o")] = objects
        subprocess.run(linking, cwd=build, check=True)
