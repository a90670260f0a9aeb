"""The tools of policy authors: questions from files, tests, lint, formatting, explanations, scaffolds."""
