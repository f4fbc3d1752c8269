"""Finishes the project: the files of its choices, its `.env`, and what to do next."""

import json
import re
import secrets
import shutil
import sys
from pathlib import Path

# `tojson` escapes quotes and brackets: no answer can leave this string.
answers = json.loads(r"""<< cookiecutter | tojson >>""")
for name, answer in answers.items():
    if isinstance(answer, str) and re.search(r"<{2}\s*cookiecutter\.", answer):
        sys.exit(
            f"{name}: {answer!r} was never rendered; the replay file is older than "
            "this question: answer the questions anew, without --replay"
        )

choices = Path("choices")
for question in choices.iterdir():
    chosen = question / answers[question.name]
    if chosen.exists():
        shutil.copytree(chosen, ".", dirs_exist_ok=True)
shutil.rmtree(choices)

env = Path(".env")
if not env.exists():
    env.touch(mode=0o600)
    example = Path(".env.example").read_text(encoding="utf-8")
    secret = f"SECRET_KEY={secrets.token_urlsafe(50)}\n"
    env.write_text(example.replace("SECRET_KEY=\n", secret), encoding="utf-8")

print(f"""
Your service is in {answers["project_slug"]}/. Next:

    cd {answers["project_slug"]}
    git init && git add -A
    make local    # http://127.0.0.1:8000; `make` alone lists every command
""")
